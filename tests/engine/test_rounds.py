"""Rounds: who runs together, who waits, and that no answer can tell."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from handler.engine.decode import generate
from handler.engine.events import Event
from handler.engine.params import GenerationParams
from handler.engine.ports import Decoder, KVSession
from handler.engine.rounds import PIECE, Rounds
from handler.engine.speculation import Speculation
from handler.engine.step import Feed, Step
from tests.engine.test_choices import template
from tests.engine.test_decode import ENDS, PROMPT, PieceTokenizer, PrefixDecoder, any_params
from tests.fakes import STEP_COSTS, FakeTokenizer, told
from tests.rounds import together

LONG = GenerationParams(temperature=0, ignore_eos=True, max_tokens=50)


@dataclass
class Counting(PrefixDecoder):
    """Writes down each forward call: how many sequences and how many tokens of each."""

    context_window: int = 4000
    prefill_chunk: int = 256
    calls: list[tuple[int, int]] = field(default_factory=list)

    def open(self) -> KVSession:
        return CountingSession(super().open(), self.calls)

    def advance(self, sessions: Sequence[KVSession], token_ids: Sequence[int]) -> NDArray[np.float32]:
        self.calls.append((len(sessions), 1))
        inner = [session.inner for session in sessions if isinstance(session, CountingSession)]
        return super().advance(inner, token_ids)


@dataclass
class CountingSession:
    inner: KVSession
    calls: list[tuple[int, int]]

    @property
    def length(self) -> int:
        return self.inner.length

    @property
    def nbytes(self) -> int:
        return self.inner.nbytes

    def forward(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
        self.calls.append((1, len(token_ids)))
        return self.inner.forward(token_ids, logits_rows)

    def truncate(self, length: int) -> None:
        self.inner.truncate(length)

    def fork(self, count: int) -> list[KVSession]:
        return [CountingSession(fork, self.calls) for fork in self.inner.fork(count)]


def answer(
    decoder: Decoder,
    params: GenerationParams,
    prompt: Sequence[int] = PROMPT,
    *,
    shape: str | None = None,
    guessing: bool = False,
) -> Generator[Event, None, None]:
    """`shape`: a template that it has to fill in; `guessing`: it may run drafts."""
    return generate(
        decoder,
        PieceTokenizer(),
        prompt,
        params,
        ENDS,
        should_stop=lambda: False,
        grammar=None if shape is None else template(shape),
        speculation=partial(Speculation, prompt, step_costs=STEP_COSTS) if guessing else None,
    )


def prompt(length: int) -> list[int]:
    return [65 + position % 20 for position in range(length)]


def test_eight_answers_of_fifty_tokens_take_fifty_calls() -> None:
    decoder = Counting()
    together([answer(decoder, LONG) for _ in range(8)])
    assert decoder.calls == [(1, len(PROMPT))] * 8 + [(8, 1)] * 49  # the first token comes from the prompt's logits


def test_an_answer_that_joins_is_run_in_pieces_while_others_decode() -> None:
    decoder = Counting()
    together([answer(decoder, replace(LONG, max_tokens=100)), answer(decoder, LONG, prompt(2000))], starts=[0, 3])
    joined = decoder.calls.index((1, PIECE))
    pieces, rest = divmod(2000, PIECE)
    expected = [(1, PIECE), (1, 1)] * pieces + [(1, rest), (1, 1)]  # a token after each piece
    found = decoder.calls[joined : joined + len(expected) + 2]
    assert found == [*expected, (2, 1), (2, 1)]


def test_where_nobody_decodes_prompts_are_run_in_whole_chunks() -> None:
    decoder = Counting()
    together([answer(decoder, LONG, prompt(512)), answer(decoder, LONG, prompt(512))])
    assert decoder.calls[:3] == [(1, 256)] * 3


def test_prompts_take_turns() -> None:
    decoder, order = Counting(), []
    feeds = {name: Feed(decoder.open(), prompt(4 * PIECE)) for name in "abc"}
    decoding = Feed(decoder.open(), [65])
    rounds = Rounds()
    for _ in range(6):
        lengths = {name: feed.session.length for name, feed in feeds.items()}
        rounds.run([Step(decoder, [decoding]), *[Step(decoder, [feed]) for feed in feeds.values()]])
        order += [name for name, feed in feeds.items() if feed.session.length > lengths[name]]
        decoding = Feed(decoding.session, [66])
    assert sorted(order[:3]) == sorted(order[3:]) == ["a", "b", "c"]


def test_short_pieces_share_a_round() -> None:
    """Forced tokens of several answers: none waits a round for another's five."""
    decoder = Counting()
    feeds = [Feed(decoder.open(), prompt(length)) for length in (1, 1, 5, 5, 5)]
    Rounds().run([Step(decoder, [feed]) for feed in feeds])
    assert sorted(decoder.calls) == [(1, 5), (1, 5), (1, 5), (2, 1)]


def test_drafts_are_run_alone_and_dropped_in_company() -> None:
    decoder = Counting()
    feeds = [Feed(decoder.open(), [65], drafts=[66, 67]) for _ in range(3)]
    Rounds().run([Step(decoder, feeds[:1])])
    Rounds().run([Step(decoder, [feed]) for feed in feeds[1:]])
    assert decoder.calls == [(1, 3), (2, 1)]
    assert [len(feed.logits) for feed in feeds] == [3, 1, 1]


def test_one_with_a_seed_shares_calls_with_nobody_but_its_own_choices() -> None:
    decoder = Counting()
    params = [LONG, replace(LONG, seed=1), replace(LONG, seed=1, n=2), LONG]
    together([answer(decoder, of_one) for of_one in params])
    # The two without a seed; the one with; the two choices of the other.
    assert sorted(decoder.calls[4:]) == sorted([(2, 1), (1, 1), (2, 1)] * 49)


def test_where_company_changes_nothing_seeds_keep_nobody_apart() -> None:
    decoder = Counting(company_free=True)
    together([answer(decoder, of_one) for of_one in [LONG, replace(LONG, seed=1), replace(LONG, seed=1, n=2)]])
    assert decoder.calls[3:] == [(4, 1)] * 49


def test_models_do_not_share_calls() -> None:
    one, other = Counting(), Counting()
    together([answer(decoder, LONG) for decoder in (one, other, one)])
    assert one.calls[2:] == [(2, 1)] * 49
    assert other.calls[1:] == [(1, 1)] * 49


@dataclass
class Poisoned(PrefixDecoder):
    """Fails whenever a sequence is as long as `deadly`, and takes the others' tokens first: half a step is done."""

    deadly: int = 30

    def advance(self, sessions: Sequence[KVSession], token_ids: Sequence[int]) -> NDArray[np.float32]:
        lengths = [session.length for session in sessions]
        rows = super().advance(sessions, token_ids)
        if self.deadly in lengths:
            raise RuntimeError("poisoned")
        return rows


class PoisonedSession:
    """Fails alone too."""

    def __init__(self, inner: KVSession, deadly: int) -> None:
        self._inner = inner
        self._deadly = deadly

    @property
    def length(self) -> int:
        return self._inner.length

    @property
    def nbytes(self) -> int:
        return self._inner.nbytes

    def forward(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
        if self.length == self._deadly:
            raise RuntimeError("poisoned")
        return self._inner.forward(token_ids, logits_rows)

    def truncate(self, length: int) -> None:
        self._inner.truncate(length)

    def fork(self, count: int) -> list[KVSession]:
        raise AssertionError(f"one choice has no forks, asked for {count}")


def test_a_poisoned_answer_fails_and_its_neighbours_do_not_notice() -> None:
    decoder = Poisoned()
    open_one = decoder.open

    class Poison(Poisoned):
        def open(self) -> KVSession:
            return PoisonedSession(open_one(), self.deadly)

    params = replace(LONG, max_tokens=20)
    alone = told(answer(PrefixDecoder(), params, prompt(12)))
    healthy = [answer(decoder, params, prompt(12)) for _ in range(2)]
    poisoned = generate(Poison(), FakeTokenizer(), PROMPT, params, ENDS, should_stop=lambda: False)
    failures = []

    def surviving() -> Generator[Event, None, None]:
        """Its Steps name the healthy ones' decoder, as if it were one of its sessions."""
        try:
            for event in poisoned:
                if isinstance(event, Step):
                    event.decoder = decoder
                yield event
        except RuntimeError as error:
            failures.append(str(error))

    events, _ = together([healthy[0], surviving(), healthy[1]])
    assert failures == ["poisoned"]
    assert events[0] == events[2] == alone


requests = st.tuples(
    any_params, st.sampled_from([1, 1, 1, 4]), st.sampled_from([None, None, "x?", "name: ?, <??>"]), st.booleans()
)


@settings(max_examples=60, deadline=None)
@given(st.lists(requests, min_size=2, max_size=6), st.data())
def test_no_answer_can_tell_that_it_had_company(
    asked: list[tuple[GenerationParams, int, str | None, bool]], data: st.DataObject
) -> None:
    """Greedy and sampled, one choice and four, under a grammar and free, guessing or not, whenever each comes."""
    prompts = [prompt(data.draw(st.integers(1, 50))) for _ in asked]
    starts = [data.draw(st.integers(0, 12)) for _ in asked]

    def answers(decoder: Decoder) -> list[Generator[Event, None, None]]:
        return [
            answer(decoder, replace(params, n=n, seed=params.seed or 0), text, shape=shape, guessing=guessing)
            for (params, n, shape, guessing), text in zip(asked, prompts, strict=True)
        ]

    found, _ = together(answers(PrefixDecoder()), starts)
    assert found == [told(alone) for alone in answers(PrefixDecoder())]


@pytest.mark.parametrize("end", ["closed", "stopped"])
def test_one_that_leaves_changes_nothing_for_the_others(end: str) -> None:
    decoder = PrefixDecoder()
    params = replace(LONG, max_tokens=20)
    leaving = answer(decoder, params)

    def left() -> Generator[Event, None, None]:
        for count, event in enumerate(leaving):
            yield event
            if count == 9:
                if end == "closed":
                    leaving.close()
                return

    events, _ = together([answer(decoder, params), left(), answer(decoder, params)])
    assert events[0] == events[2] == told(answer(PrefixDecoder(), params))
