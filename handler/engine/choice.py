"""One choice of an answer: logits in, Deltas out, until something ends it. Pure.

It knows which of its tokens the decoder has not run yet, and how many rows of logits it wants back: a grammar's forced
tokens go through the decoder together, and each row in between is read only for log-probabilities. A draft of what may
follow can go behind them: the next tokens are drawn from its rows one by one, for as long as they are those drafted.
"""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice, takewhile

import numpy as np
from numpy.typing import NDArray

from handler.engine.answer import Answer
from handler.engine.events import Delta, Event, FinishReason, SampledToken, Stopped
from handler.engine.logprobs import sampled_token
from handler.engine.params import GenerationParams
from handler.engine.ports import Grammar, StopScope, Tokenizer
from handler.engine.processors import make_processors
from handler.engine.sampling import choice_seed, make_sampler
from handler.engine.speculation import Proposer

Row = NDArray[np.float32]
Rows = NDArray[np.float32]


class Choice:
    """The state of one choice. `generated` are its tokens, end token included; `ended` is why it is over; `closed`: and
    has been told. `accepted_prediction_tokens` of its tokens were drafted from the request's prediction, and
    `rejected_prediction_tokens` more were and are none of them. `surplus`: how many of the tokens that were run last
    are not the choice's, and have to be forgotten."""

    def __init__(
        self,
        index: int,
        params: GenerationParams,
        tokenizer: Tokenizer,
        prompt_ids: Sequence[int],
        end_token_ids: Collection[int],
        grammar: Grammar | None,
        *,
        vocab_size: int,
        limit: int,
        stop_scope: StopScope | None = None,
        proposer: Proposer | None = None,
    ) -> None:
        """`limit`: how many tokens there may be at most, at least one."""
        self.generated: list[int] = []
        self.ended: FinishReason | None = None
        self.closed = False
        self.accepted_prediction_tokens = 0
        self.rejected_prediction_tokens = 0
        self.surplus = 0
        self._index = index
        self._tokenizer = tokenizer
        self._limit = limit
        self._ends = {*params.stop_token_ids} if params.ignore_eos else {*end_token_ids, *params.stop_token_ids}
        self._sample = make_sampler(replace(params, seed=choice_seed(params.seed, index)), vocab_size)
        self._processors = make_processors(params, prompt_ids, end_token_ids, vocab_size)
        self._processed = np.empty(vocab_size, np.float32)
        self._top_logprobs = params.top_logprobs
        self._answer = Answer(params.stop, params.min_tokens, index, stop_scope)
        self._grammar = grammar
        self._forced: deque[int] = deque()  # known to follow, not yet in `generated`
        self._fed = 0  # how many of `generated` and `_forced` the decoder has been given
        self._proposer = proposer
        self._draft: tuple[int, ...] = ()
        self._predicted = False  # whether the draft is of the request's prediction
        self._note_forced()

    def advance(self, rows: Rows) -> Iterator[Delta]:
        """The tokens that `rows` tell: one for each, but none after an end or after one that is not as drafted.

        `rows`: float32 [count, vocab_size]. Of the logits after the tokens fed, the last `rows_wanted`; behind them one
        for each token of the draft, if the step had room for it. Where no row is wanted, what is given is not read.
        """
        wanted = self.rows_wanted
        if not wanted:
            return
        drafted = self._draft[: len(rows) - wanted]
        ahead = [*self._forced, *drafted]  # every row but the first follows one of these
        start, used = len(self.generated), 0
        while used < len(rows) and self.ended is None:
            yield from self._advance(rows[used])
            taken = self.generated[start + used :]
            used += len(taken)
            if not taken or taken != ahead[used - len(taken) : used]:
                break
        if drafted:
            self._settle(drafted)

    def _advance(self, row: Row) -> Iterator[Delta]:
        """One more token, or none at an end. Forced tokens that need no log-probabilities follow at once."""
        yield from self._take(self._forced.popleft() if self._forced else self._choose(row), row)
        while self._top_logprobs is None and self._forced and self.ended is None:
            yield from self._take(self._forced.popleft(), row)

    def feed(self, most: int) -> list[int]:
        """The next tokens for the decoder, `most` at most, at least one unless the choice has ended."""
        tokens = self._unfed()[:most]
        self._fed += len(tokens)
        self.surplus = 0
        return tokens

    def draft(self) -> tuple[int, ...]:
        """Tokens that may follow those fed, to be run behind them if there is room; perhaps none."""
        self._draft = ()
        # With the one that is drawn after them they must not be more than there may be. Nothing follows an end token.
        most = self._limit - len(self.generated) - 1
        if self._proposer is not None and self._fed == len(self.generated) and most > 0:
            proposed = self._proposer.propose(most)
            if proposed is not None:
                self._draft = tuple(takewhile(lambda token_id: token_id not in self._ends, proposed.token_ids))
                self._predicted = proposed.predicted
        return self._draft

    @property
    def rows_wanted(self) -> int:
        """Of how many of the last tokens fed `advance` wants the logits; none while some of `generated` are unfed."""
        return max(0, self._fed - len(self.generated) + 1)

    def stop(self, reason: FinishReason) -> None:
        """Ends the choice from outside, unless it has ended."""
        self.ended = self.ended or reason

    def close(self) -> Iterator[Event]:
        """After the end: what was held back, and `Stopped`."""
        self.closed = True
        if (rest := self._answer.finish()).text or rest.tokens:
            yield rest
        stop_sequence = self._answer.stop_sequence  # perhaps found only now, in what was held back
        reason = "stop" if stop_sequence is not None else self.ended or "length"
        yield Stopped(choice=self._index, reason=reason, stop_sequence=stop_sequence)

    def _choose(self, row: Row) -> int | None:
        """None where everything is masked: the grammar can only end, and what may end it is forbidden."""
        if self._processors or self._grammar is not None:
            np.copyto(self._processed, row)
            row = self._processed
        for process in self._processors:
            process(self.generated, row)
        if self._grammar is not None:
            self._grammar.mask(row)
            if row.max() == -np.inf:
                return None
        return self._sample(row)

    def _take(self, token_id: int | None, row: Row) -> Iterator[Delta]:
        if token_id is not None:
            self.generated.append(token_id)
            if self._proposer is not None:
                self._proposer.add(token_id)
        if token_id is None or token_id in self._ends:
            self.ended = "stop"
            return
        if self._grammar is not None:
            self._grammar.accept(token_id)
        delta = self._answer.add(self._tokenizer.token_bytes(token_id), self._sampled(row, token_id))
        if self._answer.stop_sequence is not None or (self._grammar is not None and self._grammar.finished):
            self.ended = "stop"
        elif len(self.generated) == self._limit:
            self.ended = "length"
        elif not self._forced:
            self._note_forced()
        yield delta

    def _unfed(self) -> list[int]:
        """Known tokens that the decoder has not been given."""
        forced = islice(self._forced, max(0, self._fed - len(self.generated)), None)
        return [*self.generated[self._fed :], *forced]

    def _settle(self, drafted: tuple[int, ...]) -> None:
        followed = self._unfed()
        accepted = 0
        while accepted < min(len(drafted), len(followed)) and drafted[accepted] == followed[accepted]:
            accepted += 1
        self._fed += accepted
        self.surplus = len(drafted) - accepted
        if self._predicted:
            self.accepted_prediction_tokens += accepted
            self.rejected_prediction_tokens += self.surplus
        if self._proposer is not None:
            self._proposer.verified(len(drafted), accepted)

    def _sampled(self, row: Row, token_id: int) -> SampledToken | None:
        top = self._top_logprobs
        return None if top is None else sampled_token(row, token_id, top, self._tokenizer.token_bytes)

    def _note_forced(self) -> None:
        if self._grammar is not None:
            self._forced.extend(self._grammar.forced()[: self._limit - len(self.generated)])
