"""A grammar that begins where the model's thought ends: what it thinks is free. Pure."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from handler.chat.thinking import ThinkMarks
from handler.engine.ports import Grammar, Tokenizer


class AfterThinking:
    """`grammar`, after a thought. `opened`: the answer begins in one; else the model may open one with its first token.

    A thought cannot be the end of an answer: end tokens are masked in it.
    """

    def __init__(
        self,
        grammar: Grammar,
        marks: ThinkMarks,
        *,
        opened: bool,
        tokenizer: Tokenizer,
        end_token_ids: Collection[int],
    ) -> None:
        opening = tokenizer.encode(marks.open, special=True)
        self._grammar = grammar
        self._close = marks.close.encode()
        self._tokenizer = tokenizer
        self._ends = list(end_token_ids)
        self._thinking = opened
        self._opening = opening[0] if len(opening) == 1 and not opened else None  # None: too late to open a thought
        self._tail = b""  # of the thought, as much as may begin the marker that closes it

    def mask(self, row: NDArray[np.float32]) -> None:
        if self._thinking:
            row[self._ends] = -np.inf
            return
        opening = None if self._opening is None else row[self._opening]
        self._grammar.mask(row)
        if self._opening is not None and opening is not None:
            row[self._opening] = opening

    def accept(self, token_id: int) -> None:
        if self._thinking:
            text = self._tail + self._tokenizer.token_bytes(token_id)
            self._thinking = self._close not in text
            self._tail = text[-len(self._close) + 1 :]
            return
        begins, self._opening = token_id == self._opening, None
        if begins:
            self._thinking = True
        else:
            self._grammar.accept(token_id)

    def forced(self) -> Sequence[int]:
        return () if self._thinking or self._opening is not None else self._grammar.forced()

    @property
    def finished(self) -> bool:
        return not self._thinking and self._opening is None and self._grammar.finished
