"""Where stop strings are matched in an answer that may hold calls: everywhere but in the calls. Pure.

It reads the answer as its reader will, so a call's marker and the white space before it are the call's.
"""

from collections.abc import Iterable

from handler.chat.answer_reader import Reading
from handler.chat.dialects.call_format import CallFormat
from handler.chat.dialects.call_parser import CallParser
from handler.chat.segments import Said, Segment
from handler.chat.thinking import ThoughtParser


class OutsideCalls:
    """A StopScope for one choice, whose calls are of `form`. Thoughts and their markers are matched."""

    def __init__(self, reading: Reading, form: CallFormat) -> None:
        self._thoughts = None if reading.marks is None else ThoughtParser(reading.marks, opened=reading.opened)
        self._calls = CallParser(form, reading.names, forced=reading.forced)

    def decode(self, text: str) -> list[tuple[str, bool]]:
        return self._pieces([Said(text)] if self._thoughts is None else self._thoughts.decode(text))

    def flush(self) -> list[tuple[str, bool]]:
        pieces = self._pieces([] if self._thoughts is None else self._thoughts.flush())
        return pieces + _matched_if_said(self._calls.flush())

    def _pieces(self, segments: Iterable[Segment]) -> list[tuple[str, bool]]:
        pieces: list[tuple[str, bool]] = []
        for segment in segments:
            if isinstance(segment, Said):
                pieces += _matched_if_said(self._calls.decode(segment.text))
            else:
                pieces.append((segment.text, True))
        return pieces


def _matched_if_said(segments: Iterable[Segment]) -> list[tuple[str, bool]]:
    return [(segment.text, isinstance(segment, Said)) for segment in segments]
