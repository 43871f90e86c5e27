"""One choice's way through a grammar."""

from collections.abc import Sequence

import numpy as np
from llguidance import LLMatcher
from numpy.typing import NDArray

from handler.errors import InvalidRequest

# Of each byte of llguidance's mask, whose bits say what is allowed, eight booleans that say what is forbidden. A row is
# one uint64, so that a lookup moves it whole.
_FORBIDDEN = (
    ~np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1, bitorder="little").astype(bool)
).view(np.uint64)[:, 0]


class MatcherGrammar:
    """A `handler.engine.ports.Grammar`. A step allocates nothing."""

    def __init__(self, matcher: LLMatcher, vocab_size: int, param: str) -> None:
        """`param`: the field that asks for the grammar, for an error on the way."""
        self._param = param
        self._matcher = matcher
        self._bits = np.zeros((vocab_size + 31) // 32, np.int32)
        self._bytes = self._bits.view(np.uint8)
        self._words = np.empty(len(self._bytes), np.uint64)
        self._forbidden = self._words.view(bool)[:vocab_size]

    def mask(self, row: NDArray[np.float32]) -> None:
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        self._check()
        np.take(_FORBIDDEN, self._bytes, out=self._words, mode="clip")  # "clip" does not buffer; nothing is clipped
        np.copyto(row, -np.inf, where=self._forbidden)

    def accept(self, token_id: int) -> None:
        self._matcher.consume_token(token_id)
        self._check()

    def forced(self) -> Sequence[int]:
        return self._matcher.compute_ff_tokens()

    @property
    def finished(self) -> bool:
        return self._matcher.is_stopped()

    def _check(self) -> None:
        """Raises InvalidRequest if the grammar has outgrown the limits that keep one request from stopping others."""
        if self._matcher.is_error():
            reason = self._matcher.get_error().splitlines()[0]
            raise InvalidRequest(
                f"The grammar became too complex to follow ({reason}): simplify it.", param=self._param
            )
