"""One choice as its reader sees it: the engine's text in; answer, thoughts and calls out. Pure."""

import uuid
from collections.abc import Callable, Iterable

from handler.chat.deltas import (
    ChatEvent,
    ChatFinishReason,
    ReasoningDelta,
    Stopped,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from handler.chat.dialects.call_format import CallFormat
from handler.chat.dialects.call_parser import CallParser
from handler.chat.segments import CallArguments, CallNamed, Said, Segment, Thought
from handler.chat.thinking import ThinkMarks, ThoughtParser
from handler.chat.token_shares import TokenShares
from handler.engine import events as engine
from handler.frozen import dataclass


def new_call_id() -> str:
    """An id as OpenAI's: unique, and no part of what a seed repeats."""
    return f"call_{uuid.uuid4().hex[:24]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How to read an answer. What is None is not in it.

    `marks`: thoughts; `opened`: the prompt ended in one. `form`: calls of `names`; `named`: the caller chose the one;
    `forced`: the answer has to be calls.
    """

    marks: ThinkMarks | None = None
    opened: bool = False
    form: CallFormat | None = None
    names: tuple[str, ...] = ()
    named: bool = False
    forced: bool = False


class AnswerReader:
    """Reads one choice. `reasoning_tokens` counts the tokens of its thought, markers included."""

    def __init__(self, choice: int, reading: Reading, new_id: Callable[[], str] = new_call_id) -> None:
        marks, form = reading.marks, reading.form
        self._choice = choice
        self._thoughts = None if marks is None else ThoughtParser(marks, opened=reading.opened)
        self._calls = None if form is None else CallParser(form, reading.names, forced=reading.forced)
        self._named = reading.named
        self._new_id = new_id
        self._shares = TokenShares()
        self._shown: type[TextDelta | ReasoningDelta] = TextDelta
        self._call_count = 0
        self._tokens_before_answer = 0

    @property
    def reasoning_tokens(self) -> int:
        return self._tokens_before_answer if self._thoughts is not None and self._thoughts.thought else 0

    def delta(self, delta: engine.Delta) -> list[ChatEvent]:
        """What one more token makes certain: at least one event."""
        if self._thoughts is not None and not self._thoughts.answering:
            self._tokens_before_answer += 1
        self._shares.add(delta.text, delta.tokens)
        segments = [Said(delta.text)] if self._thoughts is None else self._thoughts.decode(delta.text)
        return self._events(self._call_segments(segments)) or [TextDelta(text="", choice=self._choice)]

    def stopped(self, stopped: engine.Stopped) -> list[ChatEvent]:
        """The end: what was held, and why it ended."""
        segments = self._call_segments([] if self._thoughts is None else self._thoughts.flush())
        if self._calls is not None:
            segments += self._calls.flush()
        return [*self._events(segments), Stopped(reason=self._reason(stopped.reason), choice=self._choice)]

    def _reason(self, reason: engine.FinishReason) -> ChatFinishReason:
        called = self._calls is not None and self._calls.complete and not self._named
        return "tool_calls" if reason == "stop" and called else reason

    def _call_segments(self, segments: Iterable[Segment]) -> list[Segment]:
        if self._calls is None:
            return list(segments)
        found: list[Segment] = []
        for segment in segments:
            found += self._calls.decode(segment.text) if isinstance(segment, Said) else [segment]
        return found

    def _events(self, segments: Iterable[Segment]) -> list[ChatEvent]:
        events: list[ChatEvent] = []
        for segment in segments:
            shown = isinstance(segment, Said | Thought)
            tokens = self._shares.take(segment.text, shown=shown)
            if tokens and not shown:  # a token was cut in two: this is the half that was shown
                events.append(self._shown(text="", tokens=tokens, choice=self._choice))
            match segment:
                case Said(text=text) | Thought(text=text):
                    self._shown = TextDelta if isinstance(segment, Said) else ReasoningDelta
                    events.append(self._shown(text=text, tokens=tokens, choice=self._choice))
                case CallNamed(name=name):
                    events.append(self._call_start(name))
                case CallArguments(text=text):
                    call = self._call_count - 1
                    events.append(ToolCallArguments(call=call, text=text, choice=self._choice))
        return events

    def _call_start(self, name: str) -> ToolCallStart:
        self._call_count += 1
        return ToolCallStart(call=self._call_count - 1, id=self._new_id(), name=name, choice=self._choice)
