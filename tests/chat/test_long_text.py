"""A text that no window could hold is refused after a look at its beginning."""

import pytest

from handler.chat.long_text import refuse_far_too_long
from handler.errors import ContextLengthExceeded


class Words:
    """A token for each word; counts the characters it was given."""

    def __init__(self) -> None:
        self.characters = 0

    def __call__(self, text: str) -> list[int]:
        self.characters += len(text)
        return [0] * len(text.split())


def test_a_text_of_ordinary_length_is_not_even_looked_at() -> None:
    words = Words()
    refuse_far_too_long(words, "a " * 100_000, window=10)
    assert words.characters == 0


def test_what_is_far_too_long_is_refused_without_reading_on() -> None:
    words = Words()
    with pytest.raises(ContextLengthExceeded, match="resulted in more than 8192 tokens") as error:
        refuse_far_too_long(words, "a " * 3_000_000, window=8192, param="prompt")
    assert (error.value.param, words.characters) == ("prompt", 50_000)


def test_what_may_fit_is_left_to_an_exact_count() -> None:
    refuse_far_too_long(Words(), "a " * 150_000, window=75_000)
    with pytest.raises(ContextLengthExceeded):
        refuse_far_too_long(Words(), "a " * 150_001, window=75_000)
