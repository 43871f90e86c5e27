"""Where an answer is in a text that it may be repeating."""

import pytest

from handler.engine.lookup import LONGEST_MATCH, Lookup
from handler.engine.speculation import Speculation
from tests.fakes import STEP_COSTS

TEXT = "the cat sat on the mat. the dog sat on the log. "


def after(text: str, answer: str, *, begins: bool = False, most: int = 6) -> tuple[str, int]:
    """What `text` goes on with after `answer`, characters for tokens, and how many of the last ones agree."""
    lookup = Lookup(map(ord, text), answer_begins_here=begins)
    for end in range(1, len(answer) + 1):
        lookup.follow([ord(character) for character in answer[:end]])
    return "".join(map(chr, lookup.draft(most))), lookup.matched


def test_an_answer_that_begins_with_the_text_is_in_it_before_its_first_token() -> None:
    assert after(TEXT, "", begins=True) == ("the ca", LONGEST_MATCH)


def test_an_answer_elsewhere_is_found_by_its_last_two_tokens() -> None:
    assert after(TEXT, "A d") == ("og sat", 2)
    assert after(TEXT, "d") == ("", 0)
    assert after(TEXT, "xy") == ("", 0)


def test_the_longest_common_past_decides() -> None:
    assert after(TEXT, "my dog sat on the ") == ("log. ", LONGEST_MATCH)
    assert after(TEXT, "g, he sat on the ") == ("mat. t", LONGEST_MATCH)  # both places agree: the first one does


def test_an_answer_that_leaves_something_out_goes_on_behind_it() -> None:
    assert after(TEXT, "the cat sat on the log", begins=True, most=3) == (". ", 8)
    assert after("abXcd abYcd abZcd ", "abXcd abcd", begins=True, most=4) == (" abZ", 2)


def test_an_answer_that_adds_something_goes_on_where_it_left_the_text() -> None:
    assert after("ab ab ab c", "ab --ab", begins=True, most=3) == (" ab", 2)


def test_nothing_follows_the_end() -> None:
    assert after("abc", "abc", begins=True) == ("", LONGEST_MATCH)
    assert after("abc", "xabc") == ("", 3)


def test_an_answer_is_found_in_itself() -> None:
    lookup, tokens = Lookup([]), []
    for token_id in [1, 2, 3, 4, 1, 2]:
        tokens.append(token_id)
        lookup.extend(token_id)
        lookup.follow(tokens)
    assert lookup.draft(9) == (3, 4, 1, 2)


@pytest.mark.parametrize("answer", ["the dog sat on the log. the cat", "no cat sat on the log.", TEXT, "?"])
def test_a_guess_is_the_same_however_late_it_is_asked_for(answer: str) -> None:
    often, late = (Speculation(tuple(map(ord, TEXT)), step_costs=STEP_COSTS) for _ in range(2))
    for character in answer:
        often.add(ord(character))
        often.propose(4)
        late.add(ord(character))
    assert late.propose(4) == often.propose(4)
