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

    __slots__ = ("_done", "_error", "_logits", "drafts", "is_over", "session", "token_ids", "wanted")

    def __init__(
        self, session: KVSession, token_ids: Sequence[int], wanted: int = 1, drafts: Sequence[int] = ()
    ) -> None:
        self.session = session
        self.token_ids = token_ids
        self.wanted = wanted
        self.drafts = drafts
        self.is_over = False  # whether nothing is left to run
        self._done = 0  # tokens that have been run
        self._logits: Rows | None = None
        self._error: Exception | None = None

    @property
    def logits(self) -> Rows:
        """float32 [wanted + len(drafts), vocab_size], a view that a later step overwrites. Raises what went wrong."""
        if self._logits is None:
            raise self._error or RuntimeError("the logits of a step that has not been run")
        return self._logits

    @property
    def left(self) -> int:
        """Tokens left to run."""
        return len(self.token_ids) + len(self.drafts) - self._done

    @property
    def is_one_token(self) -> bool:
        """Whether one token is all there is to run: such feeds can share a forward call."""
        return len(self.token_ids) == 1 and not self.drafts

    def drop_drafts(self) -> None:
        """Forgets the drafts, if nothing has been run yet."""
        if not self._done:
            self.drafts = ()

    def run(self, most: int | None = None) -> int:
        """Runs what is left, or a piece of `most` tokens (two or more); returns how many. What goes wrong is raised
        where the logits are asked for.

        One token is never left alone, but goes with the last piece: for one there are other kernels, which round
        otherwise, and no answer may depend on its company.
        """
        if self.is_over:
            return 0
        token_ids = [*self.token_ids, *self.drafts] if self.drafts else self.token_ids
        first, end = self._done, len(token_ids)
        if most is not None and first + most + 1 < end:
            end = first + most
        wanted = end - max(first, len(self.token_ids) - self.wanted)  # of this piece; none, if not positive
        try:
            rows = self.session.forward(token_ids[first:end], max(1, wanted))
        except Exception as error:  # whatever it is, it belongs to this sequence's answer
            self._fail(error)
            return end - first
        self._done, self.is_over = end, end == len(token_ids)
        if wanted == self.wanted + len(self.drafts):
            self._logits = rows
        elif wanted > 0:
            self._logits = self._joined(rows)
        return end - first

    def take(self, logits: Rows) -> None:
        """Its token was run together with others': float32 [1, vocab_size]."""
        self._logits, self.is_over = logits, True

    def run_again(self, length: int) -> None:
        """Runs its token alone, after a call for several has failed on a sequence of `length`."""
        try:
            self.session.truncate(length)
            self.run()
        except Exception as error:  # of a session that cannot even be put back
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._error, self._logits, self.is_over = error, None, True

    def _joined(self, rows: Rows) -> Rows:
        """Copies: the next piece would overwrite the rows of this one."""
        return rows.copy() if self._logits is None else np.concatenate([self._logits, rows])


class Step:
    """What one answer needs next: a feed for each of its sequences that move. `repeatable`: not even the last bit may
    depend on who else is answered, so its tokens share a call with each other only."""

    __slots__ = ("decoder", "feeds", "repeatable")

    def __init__(self, decoder: Decoder, feeds: Sequence[Feed], *, repeatable: bool = False) -> None:
        self.decoder = decoder
        self.feeds = feeds
        self.repeatable = repeatable

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to run."""
        return all(feed.is_over for feed in self.feeds)

    def run(self) -> None:
        """Runs all of it that has not been run: what is one token in one call, each other feed by itself."""
        if len(self.feeds) > 1:
            advance_together(self.decoder, [feed for feed in self.feeds if feed.is_one_token and not feed.is_over])
        for feed in self.feeds:
            if not feed.is_over:
                feed.run()


def advance_together(decoder: Decoder, feeds: Sequence[Feed]) -> None:
    """Runs feeds of one token in one call. Should it fail, whose fault it was fails again alone, and no other."""
    if len(feeds) < 2:
        for feed in feeds:
            feed.run()
        return
    lengths = [feed.session.length for feed in feeds]
    try:
        rows = decoder.advance([feed.session for feed in feeds], [feed.token_ids[0] for feed in feeds])
    except Exception:
        for feed, length in zip(feeds, lengths, strict=True):
            feed.run_again(length)
    else:
        for index, feed in enumerate(feeds):
            feed.take(rows[index : index + 1])
