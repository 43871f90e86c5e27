"""Speculation: tokens that may follow, guessed ahead, so that one wider step verifies several. Pure.

A guess never changes an answer. The step gives the logits after each guessed token, and the choice draws from them one
after the other, with the same processors, masks and random numbers as without guesses. What it draws stays; from the
first token that is not as guessed, what the guesses gave is thrown away. So no rejection sampling is needed: that is
for guesses drawn from a distribution of their own (Leviathan et al., arXiv:2211.17192). One certain token is right with
the probability that the model gives it, and where it is wrong, the token drawn in its place is the model's own.
"""

from collections.abc import Sequence
from typing import Protocol

from handler.engine.draft_length import Budget, DraftLength
from handler.engine.lookup import Lookup
from handler.frozen import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Tokens that may follow, at least one. `predicted`: they are of the request's `prediction`."""

    token_ids: tuple[int, ...]
    predicted: bool = False


class Proposer(Protocol):
    """Guesses the tokens of one answer. Whatever it says, the answer is the same."""

    def add(self, token_id: int) -> None:
        """The answer has one more token."""
        ...

    def propose(self, most: int) -> Draft | None:
        """What may follow, `most` tokens at most; None where no guess pays."""
        ...

    def verified(self, drafted: int, accepted: int) -> None:
        """Of the last proposal the first `drafted` tokens were tried, and the first `accepted` of them were right. Not
        called where none were tried."""
        ...


class Speculation:
    """Guesses that the answer goes on as the request's prediction does, else as the prompt or the answer did before.

    `step_costs`: the time of a step of 1, 2, … tokens, in steps of one.
    """

    def __init__(
        self, prompt_ids: Sequence[int], prediction_ids: Sequence[int] = (), *, step_costs: Sequence[float]
    ) -> None:
        budget = Budget()
        self._budget = budget
        self._tokens = list(prompt_ids)
        self._added: list[int] = []  # the answer's tokens that have not been followed yet
        self._past = _Source(Lookup(prompt_ids), DraftLength(budget, step_costs), predicted=False)
        prediction = _Source(
            Lookup(prediction_ids, answer_begins_here=True), DraftLength(budget, step_costs), predicted=True
        )
        self._sources = (prediction, self._past) if prediction_ids else (self._past,)
        self._proposed = (self._past, 0)

    def add(self, token_id: int) -> None:
        self._budget.earn()
        self._added.append(token_id)

    def propose(self, most: int) -> Draft | None:
        self._follow()
        for source in self._sources:
            matched = source.lookup.matched
            if token_ids := source.lookup.draft(source.length.best(matched, most)):
                self._proposed = source, matched
                return Draft(token_ids=token_ids, predicted=source.predicted)
        return None

    def verified(self, drafted: int, accepted: int) -> None:
        source, matched = self._proposed
        source.length.verified(matched, drafted, accepted)

    def _follow(self) -> None:
        for token_id in self._added:
            self._tokens.append(token_id)
            self._past.lookup.extend(token_id)
            for source in self._sources:
                source.lookup.follow(self._tokens)
        self._added.clear()


@dataclass(frozen=True, slots=True)
class _Source:
    lookup: Lookup
    length: DraftLength
    predicted: bool
