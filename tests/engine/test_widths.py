"""Chunks of a prompt: none leaves a token alone, none is longer than it may be, and together they are the prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.engine.widths import chunk_end, exact_tokens


def chunks(start: int, length: int, chunk: int) -> list[int]:
    widths = []
    while start < length:
        end = chunk_end(start, length, chunk)
        widths.append(end - start)
        start = end
    return widths


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, 1, [1]),
        (0, 32, [32]),
        (0, 33, [31, 2]),
        (0, 256, [256]),
        (0, 257, [255, 2]),
        (0, 289, [255, 34]),
        (0, 800, [256, 256, 256, 32]),
        (100, 133, [31, 2]),
    ],
)
def test_examples_of_chunks_of_256(start: int, length: int, expected: list[int]) -> None:
    assert chunks(start, length, 256) == expected


@given(st.integers(0, 500), st.integers(2, 2000), st.sampled_from([32, 64, 128, 256]))
def test_no_chunk_leaves_a_token_alone(start: int, length: int, chunk: int) -> None:
    widths = chunks(start, start + length, chunk)
    assert sum(widths) == length
    assert all(0 < width <= chunk and exact_tokens(width) == width for width in widths)


@pytest.mark.parametrize(("width", "exact"), [(1, 0), (2, 2), (32, 32), (33, 32), (34, 34), (129, 128)])
def test_the_token_that_is_left_over_is_not_exact(width: int, exact: int) -> None:
    assert exact_tokens(width) == exact
