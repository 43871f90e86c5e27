"""What fits the memory, and which field is told to be smaller."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.chat.room import fitted, positions_of
from handler.engine.footprint import NOTHING, Footprint
from handler.engine.params import GenerationParams
from handler.errors import OutOfMemory

# Ten bytes a token, and eight for each sequence.
FOOTPRINT = Footprint(position=4, logits=2)
WINDOW = 1000


def fit(prompt_tokens: int, room: int, *, n: int = 1, max_tokens: int | None = None) -> GenerationParams:
    params = GenerationParams(n=n, max_tokens=max_tokens)
    return fitted(params, FOOTPRINT, prompt_tokens=prompt_tokens, window=WINDOW, room=room, param="messages")


def refused(prompt_tokens: int, room: int, *, n: int = 1, max_tokens: int | None = None) -> tuple[str | None, str]:
    with pytest.raises(OutOfMemory) as caught:
        fit(prompt_tokens, room, n=n, max_tokens=max_tokens)
    return caught.value.param, caught.value.message


def test_what_fits_stays_as_it_is() -> None:
    assert fit(10, 308, max_tokens=20) == GenerationParams(max_tokens=20)
    assert fit(10, 10_008) == GenerationParams()
    assert fit(10, 10_008, max_tokens=5000) == GenerationParams(max_tokens=5000)


def test_an_answer_of_open_length_is_as_long_as_fits() -> None:
    assert fit(10, 308) == GenerationParams(max_tokens=20)
    assert fit(10, 616, n=2) == GenerationParams(n=2, max_tokens=20)


def test_the_field_that_is_too_large_is_named_with_what_would_fit() -> None:
    param, message = refused(10, 308, max_tokens=21)
    assert (param, "'max_tokens' of 20 at most" in message) == ("max_tokens", True)
    param, message = refused(10, 700, n=3, max_tokens=20)
    assert (param, "'n' of 2 at most" in message) == ("n", True)
    param, message = refused(30, 308)
    assert (param, "holds 30 tokens" in message) == ("messages", True)
    assert refused(30, 600, n=2)[0] == "n"
    assert refused(30, 308, max_tokens=1)[0] == "messages"


def test_where_nobody_counts_everything_fits() -> None:
    params = GenerationParams(n=8)
    assert fitted(params, NOTHING, prompt_tokens=5, window=WINDOW, room=0, param="prompt") is params


@given(
    prompt=st.integers(1, 999), room=st.integers(0, 90_000), n=st.integers(1, 8), most=st.none() | st.integers(1, 2000)
)
def test_what_is_let_through_needs_no_more_than_there_is(prompt: int, room: int, n: int, most: int | None) -> None:
    least = min(WINDOW, prompt + (1 if most is None else most))
    if FOOTPRINT.needed(least, n) > room:
        assert refused(prompt, room, n=n, max_tokens=most)[0] in ("messages", "n", "max_tokens")
        return
    params = fit(prompt, room, n=n, max_tokens=most)
    positions = positions_of(params, prompt_tokens=prompt, window=WINDOW)
    assert (params.n, positions >= least, FOOTPRINT.needed(positions, n) <= room) == (n, True, True)
