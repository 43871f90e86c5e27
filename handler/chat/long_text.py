"""Text that is far too long for a window is refused without encoding all of it: a body of 6 MB would take seconds, and
a gigabyte of memory. Pure.

Encoded are pieces, one after the other, until they have twice the tokens that the window has. Where a text is cut, its
tokens may differ from those of the whole, by a few for each cut, so twice as many is more than the whole could save.
"""

from collections.abc import Callable, Sequence

from handler.errors import ContextLengthExceeded

# Below it, in characters, everything is encoded and counted exactly: a tenth of a second.
_ALWAYS_ENCODED = 200_000
_PIECE = 50_000  # characters


def refuse_far_too_long(
    encode: Callable[[str], Sequence[int]], text: str, *, window: int, param: str = "messages"
) -> None:
    """Raises ContextLengthExceeded, naming `param`, for a text that has surely more tokens than `window`."""
    if len(text) <= _ALWAYS_ENCODED:
        return
    tokens = 0
    for start in range(0, len(text), _PIECE):
        tokens += len(encode(text[start : start + _PIECE]))
        if tokens > 2 * window:
            raise ContextLengthExceeded(prompt_tokens=None, context_window=window, param=param)
