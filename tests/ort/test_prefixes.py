"""Answers that go on from a prefix cache are those of a server without one, to the last bit of their log-probabilities.

On random weights, in each recipe: the oracle is the same decoder, which runs every prompt whole.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.engine.decode import generate
from handler.engine.events import Delta, Event, Finished, TokenLogprob
from handler.engine.params import GenerationParams
from handler.engine.ports import Decoder
from handler.engine.prefix_cache import PrefixCache
from tests.fakes import FakeTokenizer, told
from tests.ort import decoders

END = 2
SYSTEM = decoders.tokens(70, seed=10)
HELLO, THANKS = decoders.tokens(20, seed=11), decoders.tokens(30, seed=12)
LISTED = GenerationParams(temperature=0, max_tokens=12, top_logprobs=3)


@pytest.fixture(scope="module", params=decoders.GRAPHS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    directory = tmp_path_factory.mktemp("model")
    return decoders.decoder(directory, request.param)


def answer(
    model: Decoder, prompt: Sequence[int], params: GenerationParams = LISTED, prefixes: PrefixCache | None = None
) -> tuple[list[Event], int]:
    """The events, as if nothing were cached, and how much was."""
    own = None if prefixes is None else prefixes.of(b"")
    *events, last = told(
        generate(model, FakeTokenizer(), prompt, params, (END,), should_stop=lambda: False, prefixes=own)
    )
    assert isinstance(last, Finished)
    return [*events, Finished(usage=replace(last.usage, cached_tokens=0))], last.usage.cached_tokens


def check(model: Decoder, prefixes: PrefixCache, prompt: Sequence[int], params: GenerationParams = LISTED) -> int:
    """How much of the prompt was cached; the answer is what it is without."""
    found, cached = answer(model, prompt, params, prefixes)
    assert found == answer(model, prompt, params)[0]
    return cached


def test_a_conversation_a_shared_system_prompt_and_the_same_again(model: Decoder) -> None:
    prefixes = PrefixCache(model, budget=2**24)
    first, reply = [*SYSTEM, *HELLO], decoders.tokens(12, seed=13)
    assert check(model, prefixes, first) == 0
    assert check(model, prefixes, [*first, *reply, *THANKS]) == 90
    assert check(model, prefixes, [*SYSTEM, *THANKS]) == 70
    assert check(model, prefixes, [*first, *reply, *THANKS]) == 130
    assert check(model, prefixes, [*first, *reply, *HELLO]) == 102


def test_choices_leave_their_prompt(model: Decoder) -> None:
    prefixes = PrefixCache(model, budget=2**24)
    assert check(model, prefixes, SYSTEM, replace(LISTED, n=3, temperature=1, seed=7)) == 0
    assert check(model, prefixes, [*SYSTEM, *HELLO], replace(LISTED, n=3, temperature=1, seed=8)) == 70


@pytest.mark.parametrize("events", [0, 1, 2, 7], ids="after {} events".format)
def test_an_answer_given_up_leaves_what_it_has_run(model: Decoder, events: int) -> None:
    """Two steps of prefill, a token and a step for each of the next."""
    prefixes = PrefixCache(model, budget=2**24)
    prompt = decoders.tokens(300, seed=14)
    given_up = generate(
        model, FakeTokenizer(), prompt, LISTED, (END,), should_stop=lambda: False, prefixes=prefixes.of(b"")
    )
    for _ in range(events):
        next(given_up)
    given_up.close()
    assert check(model, prefixes, [*prompt, *HELLO]) == {0: 0, 1: 0, 2: 256, 7: 300}[events]


def test_an_answer_that_fails_leaves_nothing(model: Decoder) -> None:
    prefixes = PrefixCache(model, budget=2**24)

    def fail() -> bool:
        raise RuntimeError("asked before each step")

    with pytest.raises(RuntimeError):
        list(generate(model, FakeTokenizer(), SYSTEM, LISTED, (END,), should_stop=fail, prefixes=prefixes.of(b"")))
    assert prefixes.nbytes == 0


def test_what_is_pushed_out_is_run_again(model: Decoder) -> None:
    """Room for one: 256 positions, the spare one, of two layers, keys and values, two heads of 16."""
    prefixes = PrefixCache(model, budget=257 * 2 * 2 * 2 * 16 * 4)
    assert check(model, prefixes, SYSTEM) == 0
    assert check(model, prefixes, THANKS) == 0
    assert check(model, prefixes, SYSTEM) == 0
    assert prefixes.nbytes == 257 * 2 * 2 * 2 * 16 * 4


def test_generated_tokens_may_go_on_too(tmp_path: Path) -> None:
    """Their KV came from steps of one token: the last bits differ, and the most likely tokens do not."""
    model = decoders.decoder(tmp_path)
    prefixes = PrefixCache(model, budget=2**24, answers=True)
    generated = listed(answer(model, SYSTEM, LISTED, prefixes)[0])
    turn = [*SYSTEM, *(token.token_id for token in generated), *THANKS]
    found, cached = answer(model, turn, LISTED, prefixes)
    assert cached == len(SYSTEM) + len(generated) - 1  # nothing follows the last one, so it was never run
    expected = answer(model, turn)[0]
    assert [token.token_id for token in listed(found)] == [token.token_id for token in listed(expected)]
    np.testing.assert_allclose(
        [token.logprob for token in listed(found)], [token.logprob for token in listed(expected)], atol=1e-4
    )


def test_with_int8_generated_tokens_go_on_and_nothing_differs(tmp_path: Path) -> None:
    model = decoders.decoder(tmp_path, "int8")
    prefixes = PrefixCache(model, budget=2**24)
    generated = listed(answer(model, SYSTEM, replace(LISTED, ignore_eos=True), prefixes)[0])
    turn = [*SYSTEM, *(token.token_id for token in generated), *THANKS]
    assert check(model, prefixes, turn) == len(SYSTEM) + len(generated) - 1


def listed(events: Sequence[Event]) -> list[TokenLogprob]:
    """The tokens of an answer."""
    return [token.chosen for event in events if isinstance(event, Delta) for token in event.tokens]


requests = st.lists(
    st.tuples(
        st.lists(st.sampled_from([SYSTEM, HELLO, THANKS, SYSTEM[:25], HELLO[:3], [5]]), min_size=1, max_size=5),
        st.sampled_from([1, 1, 2]),
        st.integers(1, 6),
    ),
    min_size=2,
    max_size=6,
)


@settings(max_examples=12)
@given(requests, st.sampled_from([2**15, 2**16, 2**24]))
def test_whatever_was_asked_before_changes_no_answer(
    model: Decoder, requests: list[tuple[list[list[int]], int, int]], budget: int
) -> None:
    prefixes = PrefixCache(model, budget=budget)
    for parts, n, max_tokens in requests:
        prompt = [token for part in parts for token in part]
        check(model, prefixes, prompt, replace(LISTED, n=n, max_tokens=max_tokens, temperature=1, seed=max_tokens))
