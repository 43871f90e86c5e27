import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.engine.stop import StopMatcher

# Few letters, so that stop strings overlap with each other and with themselves.
texts = st.text(alphabet="abc", max_size=40)
stop_lists = st.lists(st.text(alphabet="abc", min_size=1, max_size=6), max_size=5)


def feed(stops: list[str], pieces: list[str]) -> tuple[list[str], str | None]:
    matcher = StopMatcher(stops)
    return [*map(matcher.decode, pieces), matcher.flush()], matcher.matched


def first_complete(stops: list[str], text: str) -> tuple[str, str | None]:
    """The definition, written down naively."""
    for end in range(1, len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            matched = max(ending, key=len)
            return text[: end - len(matched)], matched
    return text, None


@pytest.mark.parametrize(
    ("stops", "pieces", "given_out", "matched"),
    [
        pytest.param([], ["any", "thing"], ["any", "thing", ""], None, id="no stop strings"),
        pytest.param([""], ["a"], ["a", ""], None, id="an empty stop string is none"),
        pytest.param(["END"], ["so E", "N", "D more"], ["so ", "", "", ""], "END", id="across token borders"),
        pytest.param(["END"], ["so E", "N", "x"], ["so ", "", "ENx", ""], None, id="a beginning that comes to nothing"),
        pytest.param(["END"], ["so EN"], ["so ", "EN"], None, id="a beginning at the end of the answer"),
        pytest.param(["aab"], ["aa", "a", "b"], ["", "a", "", ""], "aab", id="held back no longer than needed"),
        pytest.param(["b", "ab"], ["xab"], ["x", ""], "ab", id="of two that end together the longest"),
        pytest.param(["abcd", "bc"], ["abcd"], ["a", ""], "bc", id="the first to be complete"),
        pytest.param(["b"], ["ab", "c"], ["a", "", ""], "b", id="nothing after the match"),
        pytest.param(["é🎉"], ["é", "🎉"], ["", "", ""], "é🎉", id="characters, not bytes"),
    ],
)
def test_what_is_given_out(stops: list[str], pieces: list[str], given_out: list[str], matched: str | None) -> None:
    assert feed(stops, pieces) == (given_out, matched)


def test_matching_begins_anew_after_what_was_held_is_given_out() -> None:
    matcher = StopMatcher(["ab"])
    assert (matcher.decode("a"), matcher.flush(), matcher.decode("b")) == ("", "a", "b")
    assert matcher.matched is None
    assert (matcher.decode("xab"), matcher.matched) == ("x", "ab")


@given(stop_lists, st.lists(texts, max_size=8))
def test_any_split_gives_what_the_definition_gives(stops: list[str], pieces: list[str]) -> None:
    given_out, matched = feed(stops, pieces)
    assert ("".join(given_out), matched) == first_complete(stops, "".join(pieces))


@given(stop_lists, texts)
def test_only_what_may_still_become_a_stop_string_is_held(stops: list[str], text: str) -> None:
    matcher = StopMatcher(stops)
    given_out = "".join(map(matcher.decode, text))
    if matcher.matched is None:
        held = text[len(given_out) :]
        longest = max((n for stop in stops for n in range(len(stop)) if text.endswith(stop[:n])), default=0)
        assert len(held) == longest


def test_a_long_stop_string_and_a_text_made_to_slow_it_down_take_linear_time() -> None:
    stop = "a" * 20_000 + "b"
    matcher = StopMatcher([stop])
    given_out = [matcher.decode("a" * 100) for _ in range(400)]
    assert sum(map(len, given_out)) == 20_000
    assert matcher.decode("b") == ""
    assert matcher.matched == stop
