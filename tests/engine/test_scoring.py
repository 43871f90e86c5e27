"""Scoring a text: each token by the logits after the one before it, in whatever steps the text is run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from handler.engine.events import SampledToken, TokenLogprob
from handler.engine.ports import KVSession
from handler.engine.scoring import score
from handler.engine.step import Step
from tests.fakes import FakeTokenizer

VOCAB = 4


@dataclass
class Bigram:
    """After the token t, the token t + 1 (mod 4) has three times the probability of each other one: 1/2 and 1/6."""

    prefill_chunk: int = 100
    context_window: int = 100
    company_free: bool = False
    vocab_size: int = VOCAB
    steps: list[int] = field(default_factory=list)

    def open(self) -> "BigramSession":
        return BigramSession(self)

    def advance(self, sessions: Sequence[KVSession], token_ids: Sequence[int]) -> NDArray[np.float32]:
        raise AssertionError(f"scoring has one sequence, asked to append {token_ids} to {sessions}")


class BigramSession:
    def __init__(self, decoder: Bigram) -> None:
        self._decoder = decoder
        self.length = 0
        self.nbytes = 0

    def forward(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
        self._decoder.steps.append(len(token_ids))
        self.length += len(token_ids)
        rows = np.zeros((logits_rows, VOCAB), np.float32)
        for row, token_id in zip(rows, token_ids[-logits_rows:], strict=True):
            row[(token_id + 1) % VOCAB] = math.log(3)
        return rows

    def truncate(self, length: int) -> None:
        raise AssertionError(f"scoring forgets nothing, asked for {length}")

    def fork(self, count: int) -> list[KVSession]:
        raise AssertionError(f"scoring has one sequence, asked for {count} more")


def run(
    decoder: Bigram, token_ids: Sequence[int], top: int, stop_after: int = 100
) -> tuple[list[Step], tuple[SampledToken, ...]]:
    scoring = score(decoder, FakeTokenizer(), token_ids, top, should_stop=lambda: len(decoder.steps) >= stop_after)
    events = []
    while True:
        try:
            events.append(next(scoring))
        except StopIteration as end:
            return events, end.value


def entry(token_id: int, probability: float) -> TokenLogprob:
    return TokenLogprob(
        token_id=token_id, data=bytes([token_id]), logprob=pytest.approx(math.log(probability), abs=1e-6)
    )


def test_each_token_but_the_first_is_judged_by_what_came_before() -> None:
    events, scored = run(Bigram(), [0, 1, 1], 0)
    assert scored == (SampledToken(chosen=entry(1, 1 / 2), top=()), SampledToken(chosen=entry(1, 1 / 6), top=()))
    assert [[feed.token_ids for feed in event.feeds] for event in events] == [[[0, 1]]]


def test_alternatives_are_listed_and_the_token_itself_always() -> None:
    assert run(Bigram(), [0, 3], 2)[1] == (
        SampledToken(chosen=entry(3, 1 / 6), top=(entry(1, 1 / 2), entry(0, 1 / 6), entry(3, 1 / 6))),
    )


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 5])
def test_the_steps_do_not_matter(chunk: int) -> None:
    text = [0, 1, 1, 2, 3, 0]
    _, scored = run(Bigram(prefill_chunk=chunk), text, 1)
    assert scored == run(Bigram(), text, 1)[1]
    assert len(scored) == 5


def test_a_large_vocabulary_is_run_in_smaller_steps() -> None:
    decoder = Bigram(vocab_size=2**22)
    run(decoder, [0, 1, 2, 3, 0], 0)
    assert decoder.steps == [2, 2]


@pytest.mark.parametrize("text", [[], [3]], ids=["nothing", "one token"])
def test_what_nothing_comes_before_costs_nothing(text: list[int]) -> None:
    decoder = Bigram()
    assert run(decoder, text, 5) == ([], ())
    assert decoder.steps == []


def test_told_to_stop_it_returns_what_it_has() -> None:
    assert len(run(Bigram(prefill_chunk=2), [0, 1, 2, 3, 0], 0, stop_after=1)[1]) == 2
