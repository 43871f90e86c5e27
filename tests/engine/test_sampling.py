from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from handler.engine.params import GenerationParams
from handler.engine.sampling import greedy, make_sampler, nucleus

Row = NDArray[np.float32]
# Probabilities 0.5, 0.3, 0.15, 0.05 in another order: ids 2, 0, 3, 1.
ROW: Row = np.log(np.array([0.3, 0.05, 0.5, 0.15], np.float32))
DRAWS = 2_000
# Critical values of chi-square at 0.999, by degrees of freedom.
CRITICAL = {1: 10.83, 2: 13.82, 3: 16.27}


def drawn(params: GenerationParams, row: Row = ROW) -> Counter[int]:
    sample = make_sampler(params, len(row))
    return Counter(sample(row) for _ in range(DRAWS))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        pytest.param(GenerationParams(), {2: 0.5, 0: 0.3, 3: 0.15, 1: 0.05}, id="the model's own distribution"),
        pytest.param(GenerationParams(top_k=4), {2: 0.5, 0: 0.3, 3: 0.15, 1: 0.05}, id="top_k of everything"),
        pytest.param(GenerationParams(top_k=9), {2: 0.5, 0: 0.3, 3: 0.15, 1: 0.05}, id="top_k above the vocabulary"),
        pytest.param(GenerationParams(top_k=2), {2: 0.5 / 0.8, 0: 0.3 / 0.8}, id="top_k"),
        pytest.param(
            GenerationParams(top_p=0.6), {2: 0.5 / 0.8, 0: 0.3 / 0.8}, id="top_p keeps the token that crosses"
        ),
        pytest.param(GenerationParams(top_p=0.9), {2: 0.5 / 0.95, 0: 0.3 / 0.95, 3: 0.15 / 0.95}, id="top_p, three"),
        pytest.param(GenerationParams(min_p=0.25), {2: 0.5 / 0.95, 0: 0.3 / 0.95, 3: 0.15 / 0.95}, id="min_p"),
        # Of 0.5 and 0.3 alone the first has a share of 0.625.
        pytest.param(GenerationParams(top_k=2, top_p=0.6), {2: 1.0}, id="top_p over what top_k left"),
        pytest.param(GenerationParams(top_p=0.9, min_p=0.5), {2: 0.5 / 0.8, 0: 0.3 / 0.8}, id="min_p after top_p"),
        # Squared and normalised: 0.25, 0.09, 0.0225, 0.0025.
        pytest.param(
            GenerationParams(temperature=0.5),
            {2: 0.25 / 0.365, 0: 0.09 / 0.365, 3: 0.0225 / 0.365, 1: 0.0025 / 0.365},
            id="temperature",
        ),
        pytest.param(GenerationParams(temperature=0.5, top_p=0.6), {2: 1.0}, id="temperature before top_p"),
    ],
)
def test_tokens_are_drawn_as_often_as_they_are_likely(params: GenerationParams, expected: dict[int, float]) -> None:
    counts = drawn(replace(params, seed=7))
    assert counts.keys() == expected.keys()
    chi_square = sum((counts[i] - p * DRAWS) ** 2 / (p * DRAWS) for i, p in expected.items())
    assert chi_square < CRITICAL.get(len(expected) - 1, 1e-9)


def test_a_large_vocabulary_is_drawn_from_as_a_small_one_is() -> None:
    """Three tokens in different blocks of the vocabulary, all others impossible."""
    row = np.full(1000, -np.inf, np.float32)
    row[[0, 600, 999]] = np.log([0.2, 0.5, 0.3])
    counts = drawn(GenerationParams(seed=3), row)
    expected = {0: 0.2, 600: 0.5, 999: 0.3}
    assert counts.keys() == expected.keys()
    assert sum((counts[i] - p * DRAWS) ** 2 / (p * DRAWS) for i, p in expected.items()) < CRITICAL[2]


@pytest.mark.parametrize(
    "params",
    [
        pytest.param(GenerationParams(temperature=0), id="temperature 0"),
        pytest.param(GenerationParams(temperature=1e-9), id="a temperature too small to divide by"),
        pytest.param(GenerationParams(top_k=1), id="top_k 1"),
        pytest.param(GenerationParams(top_p=0), id="top_p 0"),
        pytest.param(GenerationParams(min_p=1), id="min_p 1"),
    ],
)
def test_the_most_likely_token_is_certain(params: GenerationParams) -> None:
    assert drawn(params) == {2: DRAWS}


def test_greedy_takes_the_lowest_id_among_equals() -> None:
    assert greedy(np.array([0, 3, 1, 3], np.float32)) == 1


@pytest.mark.parametrize("seed", [0, 42, -1, 2**63])
def test_a_seed_repeats_itself(seed: int) -> None:
    first, second = (make_sampler(GenerationParams(seed=seed), 4) for _ in range(2))
    assert [first(ROW) for _ in range(50)] == [second(ROW) for _ in range(50)]


def test_without_a_seed_two_answers_differ() -> None:
    first, second = (make_sampler(GenerationParams(), 4) for _ in range(2))
    assert [first(ROW) for _ in range(200)] != [second(ROW) for _ in range(200)]


def test_a_sampler_does_not_change_the_row() -> None:
    row = ROW.copy()
    make_sampler(GenerationParams(temperature=0.7, top_k=3, top_p=0.9, min_p=0.1), 4)(row)
    assert np.array_equal(row, ROW)


@given(
    hnp.arrays(np.float32, st.integers(1, 300), elements=st.floats(-30, 0, width=32)),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_the_nucleus_is_that_of_a_full_sort(logits: Row, top_p: float, min_p: float) -> None:
    weights = np.exp(logits - logits.max())
    order = np.argsort(-weights, kind="stable")
    cumulative = weights[order].cumsum(dtype=np.float64)
    kept = nucleus(weights, top_p, min_p)
    assert np.array_equal(kept, order[: len(kept)])
    # Around a border that rounding decides, one more or one less is as right.
    allowed = weights[order] >= np.float32(min_p)
    for slack in (-1e-5, 0, 1e-5):
        before = np.concatenate([[0.0], cumulative[:-1]]) < max((top_p + slack), 1e-12) * cumulative[-1]
        if len(kept) == max(1, np.count_nonzero(before & allowed)):
            break
    else:
        pytest.fail(f"{len(kept)} kept")
