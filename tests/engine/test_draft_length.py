"""How long drafts are: by what they gain where an answer repeats something, and cost where it does not.

Costs are simulated: a step of k tokens takes what `STEP_COSTS` says.
"""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.engine.draft_length import Budget, DraftLength
from handler.engine.lookup import LONGEST_MATCH
from tests.fakes import STEP_COSTS

LONGEST = len(STEP_COSTS) - 1


def speed(right: Iterator[bool], tokens: int, matched: int = LONGEST_MATCH) -> float:
    """How many times sooner an answer of so many tokens ends than without drafts; `right`: whether the next guessed
    token will be."""
    budget = Budget()
    length, told, cost = DraftLength(budget, STEP_COSTS), 0, 0.0
    while told < tokens:
        drafted = length.best(matched, min(LONGEST, tokens - told - 1))
        accepted = 0
        while accepted < drafted and next(right):
            accepted += 1
        if drafted:
            length.verified(matched, drafted, accepted)
        for _ in range(accepted + 1):
            budget.earn()
        told += accepted + 1
        cost += STEP_COSTS[drafted]
    return told / cost


def guesses(share: float) -> Iterator[bool]:
    """Right in this share of cases, at random."""
    random = np.random.default_rng(0)
    while True:
        yield bool(random.random() < share)


def test_an_answer_that_copies_is_more_than_twice_as_fast() -> None:
    """The most that there is to gain is 8 tokens at the cost of the widest step: 2.83 times."""
    assert speed(guesses(1), 200) > 2.7
    assert speed(guesses(1), 30) > 2.5
    assert speed(guesses(0.9), 200) > 1.8


@pytest.mark.parametrize("tokens", [30, 100, 1000])
@pytest.mark.parametrize("share", [0, 0.05, 0.1, 0.2, 0.3])
def test_guesses_that_are_mostly_wrong_cost_next_to_nothing(share: float, tokens: int) -> None:
    assert speed(guesses(share), tokens) > 0.97


@given(st.lists(st.booleans(), min_size=40, max_size=400), st.integers(2, LONGEST_MATCH))
def test_the_budget_holds_whatever_the_guesses_are(right: list[bool], matched: int) -> None:
    """Also where they are right only until longer ones are drafted."""
    tokens = len(right) // 2
    assert 1 / speed(iter(right * 8), tokens, matched) <= 1.015 + 0.4 / tokens


def test_a_draft_is_longer_after_each_success_and_shorter_after_each_failure() -> None:
    length = DraftLength(Budget(), STEP_COSTS)
    lengths = [length.best(4, LONGEST)]
    for accepted in (True, True, True, True, False, False, False, False, False):
        drafted = lengths[-1]
        length.verified(4, drafted, drafted if accepted else 0)
        lengths.append(length.best(4, LONGEST))
    assert lengths == [2, 3, 7, 7, 7, 3, 2, 1, 1, 1]


def test_places_that_agree_in_more_tokens_are_judged_apart() -> None:
    budget = Budget()
    length = DraftLength(budget, STEP_COSTS)
    for _ in range(20):
        budget.earn()
        length.verified(2, 1, 0)
        budget.settle(1)
    assert (length.best(2, LONGEST), length.best(4, LONGEST)) == (0, 3)


def test_what_failed_is_tried_again_after_a_while() -> None:
    budget = Budget()
    length = DraftLength(budget, STEP_COSTS)
    for _ in range(20):
        length.verified(4, 1, 0)
        budget.settle(1)
    silent = next(steps for steps in range(1000) if length.best(4, LONGEST))
    assert 1 < silent < 100


def test_no_more_is_drafted_than_there_may_be() -> None:
    budget = Budget()
    length = DraftLength(budget, STEP_COSTS)
    for _ in range(20):
        budget.earn()
    assert [length.best(LONGEST_MATCH, most) for most in (0, 1, 2, 3)] == [0, 1, 2, 3]
    assert length.best(0, LONGEST) == 0
