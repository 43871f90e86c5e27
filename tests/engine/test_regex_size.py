"""The size of a regular expression is that of its repetitions written out."""

import pytest

from handler.engine.regex_size import expanded_size


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("", 0),
        ("abc", 3),
        ("a*b+c?", 3),
        ("a{5}", 5),
        ("a{2,7}b", 8),
        ("a{3,}", 3),
        ("a{0}", 1),
        ("(ab){10}", 20),
        ("(?:ab|c){10}", 30),
        ("(?P<x>a{3}b){10}", 40),
        ("(a{1000}){1000}", 1_000_000),
        ("((a{100}){100}){100}", 1_000_000),
        ("a{10}{10}", 100),
        ("(a+){10}", 10),
        (r"\d{4}[-)}]{2}\.", 7),
        ("[]a]{3}", 3),
        ("[[:alpha:]]{4}", 4),
        (r"\p{Lu}{2}\x{e9}", 3),
        ("(?i)a{2}", 3),
        (")a", 2),
        ("a{" + "9" * 6000 + "}", 999_999_999),
    ],
)
def test_repetitions_are_written_out(pattern: str, size: int) -> None:
    assert expanded_size(pattern) == size
