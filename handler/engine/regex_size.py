"""How large a regular expression is with its repetitions written out. Pure.

The grammar engine writes them out while it follows the text, so only then would it find that they are too many.
"""

import re

# An escape with what belongs to it, a class, a group's beginning, a count, or a character.
_PIECE = re.compile(
    r"\\[xupP]\{[^}]*\}|\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]?|\(\?(?:P?<\w+>|[a-zA-Z-]*:|[a-zA-Z-]+\)|[=!])?"
    r"|\{(\d+)(?:(,)(\d*))?\}|.",
    re.DOTALL,
)

MAX_EXPANDED = 20_000
"""What is followed: a hundred milliseconds a token at worst."""


def expanded_size(pattern: str) -> int:
    """The number of characters, classes and such, a repeated one as often as it is repeated at most."""
    totals = [0]  # of the groups that are open, outermost first
    last = 0  # of what a count would repeat
    for piece in _PIECE.finditer(pattern):
        text = piece[0]
        if text[0] == "(" and not text.endswith(")"):
            totals.append(0)
            last = 0
        elif text == ")" and len(totals) > 1:
            last = totals.pop()
            totals[-1] += last
        elif piece[1] is not None:
            times = max(int(piece[1][:9]), int((piece[3] or "0")[:9]))
            totals[-1] += last * max(times - 1, 0)
            last *= max(times, 1)
        elif text not in ("*", "+", "?", "|"):
            last = 1
            totals[-1] += 1
    return sum(totals)
