"""Calls out of text as it is generated: text in, segments out. Pure.

Text is given out at once but for what may begin a call: the beginning of a trigger, and white space before it. From a
trigger on only the fixed texts of the dialect and the names of the functions can follow (the grammar sees to it), so
what comes is compared with all of them; arguments are given out as they come. How the text is split changes nothing.
"""

from collections.abc import Sequence

from handler.chat.dialects.call_format import CallFormat
from handler.chat.segments import CallArguments, CallNamed, Markup, Said, Segment, held


class CallParser:
    """Reads one answer. `names` are the functions that may be called; `forced`: it is calls, and no text comes out."""

    def __init__(self, form: CallFormat, names: Sequence[str], *, forced: bool = False) -> None:
        self._triggers = form.triggers
        self._first = _heads(form.begin, names, form.to_arguments)
        self._next = {} if form.next is None else _heads((form.next,), names, form.to_arguments)
        self._end = form.end
        self._buffer = ""
        self._read = self._text if form.after_text and not forced else self._first_head
        self._no_call = self._hidden if forced else self._plain
        self._json = _ObjectEnd()
        self._segments: list[Segment] = []

    @property
    def complete(self) -> bool:
        """Whether a call has been made and the last one has all its arguments."""
        return self._read in (self._after_arguments, self._nothing)

    def decode(self, text: str) -> list[Segment]:
        """What has become certain by `text`."""
        self._buffer += text
        while self._buffer and self._read():
            pass
        segments, self._segments = self._segments, []
        return segments

    def flush(self) -> list[Segment]:
        """The answer is over: text that was held is text; a call that was cut before its arguments is nothing."""
        rest, self._buffer = self._buffer, ""
        if not rest:
            return []
        return [Said(rest)] if self._read == self._text else [Markup(rest)]

    # Each of these reads what it can from the buffer; true: go on, with what is left.

    def _text(self) -> bool:
        found = [(self._buffer.find(trigger), trigger) for trigger in self._triggers if trigger in self._buffer]
        if not found:
            certain = len(self._buffer) - held(self._buffer, self._triggers)
            self._give(Said(self._buffer[:certain]), certain)
            return False
        at, _ = min(found)
        said = len(self._buffer[:at].rstrip())
        self._give(Said(self._buffer[:said]), said)
        self._give(Markup(self._buffer[: at - said]), at - said)
        self._read = self._first_head
        return True

    def _plain(self) -> bool:
        return self._give(Said(self._buffer), len(self._buffer))

    def _hidden(self) -> bool:
        return self._give(Markup(self._buffer), len(self._buffer))

    def _first_head(self) -> bool:
        known = self._name_call(self._first)
        if known is None:  # no call after all: an answer in JSON, where calls have no marker
            self._read = self._no_call
        return known is not False

    def _arguments(self) -> bool:
        end = self._json.find(self._buffer)
        size = len(self._buffer) if end is None else end
        if end is not None:
            self._read = self._after_arguments
        return self._give(CallArguments(self._buffer[:size]), size)

    def _after_arguments(self) -> bool:
        known = self._name_call(self._next)
        if known is None and not self._end.startswith(self._buffer):
            self._read = self._nothing
            return True
        return known is True

    def _nothing(self) -> bool:
        return self._give(Markup(self._buffer), len(self._buffer))

    def _name_call(self, heads: dict[str, str]) -> bool | None:
        """True: a call has begun. False: it may yet. None: no call begins here."""
        for head, name in heads.items():
            if self._buffer.startswith(head):
                self._json = _ObjectEnd()
                self._read = self._arguments
                return self._give(CallNamed(head, name), len(head))
        return False if any(head.startswith(self._buffer) for head in heads) else None

    def _give(self, segment: Segment, size: int) -> bool:
        if size:
            self._segments.append(segment)
            self._buffer = self._buffer[size:]
        return True


def _heads(beginnings: Sequence[str], names: Sequence[str], to_arguments: str) -> dict[str, str]:
    return {begin + name + to_arguments: name for begin in beginnings for name in names}


class _ObjectEnd:
    """Finds where a JSON object that begins at the first character ends."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def find(self, text: str) -> int | None:
        """How many characters of `text`, which continues what was seen, still belong to it; None: all."""
        for position, character in enumerate(text):
            if self._escaped:
                self._escaped = False
            elif self._in_string:
                self._escaped = character == "\\"
                self._in_string = character != '"'
            elif character == '"':
                self._in_string = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if not self._depth:
                    return position + 1
        return None
