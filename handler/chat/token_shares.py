"""Which generated token belongs to which segment of the text, for log-probabilities. Pure.

The bytes of the tokens handed out with a text join to its UTF-8: a token that a marker cuts in two keeps, for each
side, the bytes of that side.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from handler.engine.events import SampledToken


class TokenShares:
    """Takes tokens with the text that they make, and hands them out again piece by piece."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[SampledToken, int]] = deque()  # each with its bytes in the text
        self._taken = 0  # bytes of the first one that were handed out
        self._kept = b""  # and those of them that are to be shown

    def add(self, text: str, tokens: Iterable[SampledToken]) -> None:
        """`text` consists of `tokens`; none where nobody asked for them."""
        sizes = [(token, len(token.chosen.data)) for token in tokens]
        if sizes:
            # Bytes that are not UTF-8 are longer or shorter as text: the last token makes up for it.
            last, size = sizes[-1]
            sizes[-1] = (last, max(0, size + len(text.encode()) - sum(size for _, size in sizes)))
        self._waiting.extend(sizes)

    def take(self, text: str, *, shown: bool) -> tuple[SampledToken, ...]:
        """The tokens that end in `text`, the next piece; of those not `shown`, only what earlier pieces showed."""
        left = len(text.encode())
        taken: list[SampledToken] = []
        while self._waiting:
            token, size = self._waiting[0]
            part = min(left, size - self._taken)
            if part == 0 and size > self._taken:
                break
            if shown:
                whole = part == size or len(token.chosen.data) != size
                self._kept += token.chosen.data if whole else token.chosen.data[self._taken : self._taken + part]
            self._taken += part
            left -= part
            if self._taken < size:
                break
            if self._kept or (shown and not token.chosen.data):
                taken.append(replace(token, chosen=replace(token.chosen, data=self._kept)))
            self._waiting.popleft()
            self._taken, self._kept = 0, b""
        return tuple(taken)
