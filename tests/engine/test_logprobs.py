import math

import numpy as np
import pytest

from handler.engine.events import SampledToken, TokenLogprob
from handler.engine.logprobs import Attribution, sampled_token

# Probabilities 0.25, 0.5, 0.125, 0.125.
LOGITS = np.log(np.array([2, 4, 1, 1], np.float32))


def name(token_id: int) -> bytes:
    return b"abcd"[token_id : token_id + 1]


def told(entry: TokenLogprob) -> tuple[int, bytes, float]:
    """Id, bytes and probability."""
    return entry.token_id, entry.data, round(math.exp(entry.logprob), 6)


def true(token_id: int) -> tuple[int, bytes, float]:
    return token_id, name(token_id), [0.25, 0.5, 0.125, 0.125][token_id]


@pytest.mark.parametrize(
    ("chosen", "top", "listed"),
    [
        pytest.param(2, 0, [], id="none"),
        pytest.param(1, 2, [1, 0], id="most likely first"),
        pytest.param(1, 3, [1, 0, 2], id="the lowest id among equals"),
        pytest.param(3, 2, [1, 0, 3], id="the chosen token besides"),
        pytest.param(3, 20, [1, 0, 2, 3], id="more than there are"),
    ],
)
def test_the_alternatives(chosen: int, top: int, listed: list[int]) -> None:
    sampled = sampled_token(LOGITS, chosen, top, name)
    assert (told(sampled.chosen), list(map(told, sampled.top))) == (true(chosen), list(map(true, listed)))


def test_large_logits_do_not_overflow() -> None:
    row = np.array([1000, 1000], np.float32)
    assert sampled_token(row, 0, 0, name).chosen.logprob == pytest.approx(math.log(0.5))


def token(data: bytes) -> SampledToken:
    return SampledToken(chosen=TokenLogprob(token_id=0, data=data, logprob=-1.0), top=())


def bytes_of(tokens: tuple[SampledToken, ...]) -> list[bytes]:
    return [token.chosen.data for token in tokens]


def test_a_token_comes_with_the_text_that_completes_it() -> None:
    attribution = Attribution()
    attribution.add(token(b"a\xc3"))
    assert bytes_of(attribution.release("a")) == []
    attribution.add(token(b"\xa9"))
    assert bytes_of(attribution.release("é")) == [b"a\xc3", b"\xa9"]


def test_a_token_without_bytes_comes_at_once() -> None:
    attribution = Attribution()
    attribution.add(token(b""))
    assert bytes_of(attribution.release("")) == [b""]


def test_a_stop_string_trims_the_token_that_it_begins_in() -> None:
    attribution = Attribution()
    attribution.add(token(b"ab#"))
    assert bytes_of(attribution.release("ab")) == []
    attribution.add(token(b"#"))
    assert bytes_of(attribution.cut()) == [b"ab"]
    assert bytes_of(attribution.cut()) == []


def test_a_stop_string_at_a_token_border_trims_nothing() -> None:
    attribution = Attribution()
    attribution.add(token(b"ab"))
    assert bytes_of(attribution.release("ab")) == [b"ab"]
    attribution.add(token(b"##"))
    assert bytes_of(attribution.cut()) == []
