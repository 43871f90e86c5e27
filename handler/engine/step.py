"""A step: the forward call that an answer needs next, as a thing that somebody else may run. Pure.

An answer yields its Steps before it runs them, so that whoever drives several answers can run theirs together. What
has been run is not run again, and what nobody ran runs when the answer goes on: to a plain `for` loop a Step is one
more event.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handler.engine.ports import Decoder, KVSession

Rows = NDArray[np.float32]


class Feed:
    """What one sequence is to be given.

    `token_ids` have to be run (at least one), and the logits after the last `wanted` of them (at least one) come back.
    `drafts` are guesses at what follows, whose logits come back too: whoever runs the step may drop them.
    """

    __slots__ = ("_done", "_error", "_logits", "drafts", "session", "token_ids", "wanted")

    def __init__(
        self, session: KVSession, token_ids: Sequence[int], wanted: int = 1, drafts: Sequence[int] = ()
    ) -> None:
        self.session = session
        self.token_ids = token_ids
        self.wanted = wanted
        self.drafts = drafts
        self._done = 0  # tokens that have been run
        self._logits: Rows | None = None
        self._error: Exception | None = None

    @property
    def logits(self) -> Rows:
        """float32 [wanted + len(drafts), vocab_size], a view that a later step overwrites. Raises what went wrong."""
        if self._error is not None:
            raise self._error
        if self._logits is None:
            raise RuntimeError("the logits of a step that has not been run")
        return self._logits

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to run."""
        return self._error is not None or self._done == len(self.token_ids) + len(self.drafts)

    @property
    def is_one_token(self) -> bool:
        """Whether one token is all there is to run: such feeds can share a forward call."""
        return len(self.token_ids) == 1 and not self.drafts

    def drop_drafts(self) -> None:
        """Forgets the drafts, before anything has been run."""
        self.drafts = ()

    def run(self, most: int | None = None) -> None:
        """Runs what is left, at most `most` tokens of it. What goes wrong is raised where the logits are asked for."""
        if self.is_over:
            return
        token_ids = [*self.token_ids, *self.drafts] if self.drafts else self.token_ids
        first, end = self._done, len(token_ids)
        if most is not None:
            end = min(end, first + most)
        wanted = end - max(first, len(self.token_ids) - self.wanted)  # of this piece; none, if not positive
        try:
            rows = self.session.forward(token_ids[first:end], max(1, wanted))
        except Exception as error:  # whatever it is, it belongs to this sequence's answer
            self.fail(error)
            return
        self._done = end
        if wanted > 0:
            whole = wanted == self.wanted + len(self.drafts)
            self._logits = rows if whole else self._joined(rows)

    def take(self, logits: Rows) -> None:
        """Its token was run together with others': float32 [1, vocab_size]."""
        self._done = len(self.token_ids)
        self._logits = logits

    def fail(self, error: Exception) -> None:
        """It cannot be run."""
        self._error = error

    def _joined(self, rows: Rows) -> Rows:
        """Copies: the next piece would overwrite the rows of this one."""
        return rows.copy() if self._logits is None else np.concatenate([self._logits, rows])


class Step:
    """What one answer needs next: a feed for each of its sequences that move."""

    __slots__ = ("decoder", "feeds")

    def __init__(self, decoder: Decoder, feeds: Sequence[Feed]) -> None:
        self.decoder = decoder
        self.feeds = feeds

    def run(self) -> None:
        """Runs all of it that has not been run."""
        run_together(self.decoder, self.feeds)


def run_together(decoder: Decoder, feeds: Sequence[Feed]) -> None:
    """Runs `feeds`: those of one token in one call, each other one by itself. None fails for another's fault."""
    if len(feeds) == 1:
        feeds[0].run()
        return
    shared = [feed for feed in feeds if feed.is_one_token and not feed.is_over]
    if len(shared) > 1:
        try:
            rows = decoder.advance([feed.session for feed in shared], [feed.token_ids[0] for feed in shared])
        except Exception:
            _run_apart(shared)
        else:
            for index, feed in enumerate(shared):
                feed.take(rows[index : index + 1])
    for feed in feeds:
        feed.run()


def _run_apart(feeds: Sequence[Feed]) -> None:
    """After a shared call has failed: whose fault it was fails again alone."""
    for feed in feeds:
        try:
            logits = feed.session.forward(feed.token_ids).copy()
        except Exception as error:
            feed.fail(error)
        else:
            feed.take(logits)
