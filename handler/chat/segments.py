"""An answer's text, told apart: segments that join to the text again, in order. Pure."""

from collections.abc import Iterable

from handler.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Said:
    """Text for the reader."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """What the model thinks before it answers."""

    text: str


@dataclass(frozen=True, slots=True)
class CallNamed:
    """A call begins: `text` is all that is written up to its arguments."""

    text: str
    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """A piece of the arguments of the call that began last: JSON."""

    text: str


@dataclass(frozen=True, slots=True)
class Markup:
    """What only separates: markers, and the white space around them. Nobody is shown it."""

    text: str


Segment = Said | Thought | CallNamed | CallArguments | Markup


def held(text: str, markers: Iterable[str]) -> int:
    """How many characters at the end of `text` may belong to a marker: its beginning, and white space before it."""
    before = min((text[: len(text) - _overlap(text, marker)] for marker in markers), key=len)
    return len(text) - len(before.rstrip())


def _overlap(text: str, marker: str) -> int:
    """The length of the longest beginning of `marker`, but not all of it, that `text` ends with."""
    longest = min(len(marker) - 1, len(text))
    return next((size for size in range(longest, 0, -1) if text.endswith(marker[:size])), 0)
