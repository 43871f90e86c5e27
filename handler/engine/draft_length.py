"""How many tokens to draft: as many as pay, by what has been accepted so far, and within a budget. Pure.

A step that verifies drafts costs more than a step of one token, and gains one token for each draft that was right. The
length is the one that promises the most tokens for a step's cost. What that may lose is bounded, whatever is drafted: a
step's extra cost is paid from a balance that only grows by a small share of each token and by what drafts have gained.
So an answer that drafts never help costs at most (1 + `_ALLOWANCE`) · tokens + `_START` steps.
"""

from collections.abc import Sequence

_START = 0.4  # steps: the first draft of two tokens
_ALLOWANCE = 0.015  # steps for each token of the answer: leaves half of the 3 % that an answer may lose
_MOST = 4.0  # steps that can be saved up: a text that stops repeating itself has ten drafts to show it
_PACE = 1 / 5  # the weight of the newest draft token in what is expected of the next
_RETURN = 1 / 64  # the pace at which that returns to the prior while nothing is drafted
# How likely a draft token is right at first, by how many tokens before it agree.
_PRIORS = (0.0, 0.0, 0.4, 0.6, 0.8)
_LAST = len(_PRIORS) - 1


class DraftLength:
    """The drafts of one source in one answer; sources of one answer share a `Budget`.

    `step_costs`: the time of a step of 1, 2, … tokens, in steps of one; a draft is one token shorter than they are, at
    most. Being wrong in them costs time and never changes an answer.
    """

    def __init__(self, budget: "Budget", step_costs: Sequence[float]) -> None:
        self._budget = budget
        self._step_costs = step_costs
        self._expected = list(_PRIORS)

    def best(self, matched: int, most: int) -> int:
        """How many tokens to draft where `matched` tokens before them agree, `most` at most; 0 where none pays."""
        grade = min(matched, _LAST)
        share = self._expected[grade]
        best, best_yield, tokens, likely = 0, 1.0, 1.0, 1.0
        for length, cost in enumerate(self._step_costs[1 : most + 1], 1):
            likely *= share
            tokens += likely
            if self._budget.covers(cost - 1) and tokens / cost > best_yield:
                best, best_yield = length, tokens / cost
        if not best:
            self._expected[grade] += _RETURN * (_PRIORS[grade] - share)
        return best

    def verified(self, matched: int, drafted: int, accepted: int) -> None:
        """Of `drafted` tokens the first `accepted` were right."""
        grade = min(matched, _LAST)
        for right in (*[1.0] * accepted, *[0.0] * (accepted < drafted)):
            self._expected[grade] += _PACE * (right - self._expected[grade])
        self._budget.settle(accepted - (self._step_costs[drafted] - 1))


class Budget:
    """What one answer may spend on drafts, in steps."""

    def __init__(self) -> None:
        self._balance = _START

    def earn(self) -> None:
        """The answer has one more token."""
        self._balance = min(self._balance + _ALLOWANCE, _MOST)

    def covers(self, cost: float) -> bool:
        return cost <= self._balance

    def settle(self, gain: float) -> None:
        """A draft has been verified; `gain`: the steps that it saved, negative if it cost more."""
        self._balance = min(self._balance + gain, _MOST)
