"""A response as it comes to be: a chat's events in, the typed events of OpenAI's Responses API out. Pure.

The one source of both answers: a stream sends the events, an unstreamed answer is the response inside the last one.
Each event carries the next `sequence_number`. Items follow one another: a new one closes the one before.
"""

from collections.abc import Callable, Iterator

from handler.api.responses.objects import Head, usage_object
from handler.api.responses.output import CallItem, Event, MessageItem, OutputItem, ReasoningItem, Status
from handler.api.values import Json, JsonObject
from handler.chat.deltas import (
    ChatEvent,
    ChatFinishReason,
    ReasoningDelta,
    Stopped,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from handler.engine.events import Finished, Usage
from handler.errors import EndpointError


class ResponseEvents:
    """The events of one response. `new_id` makes an id of a prefix (msg, fc, rs), `clock` tells Unix seconds, `cost`
    what the response has cost in USD, None where that is not told."""

    def __init__(
        self,
        head: Head,
        *,
        new_id: Callable[[str], str],
        clock: Callable[[], float],
        cost: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._head = head
        self._new_id = new_id
        self._clock = clock
        self._cost = cost
        self._number = 0
        self._done: list[Json] = []
        self._open: OutputItem | None = None
        self._spoke = False  # there is a message or a call
        self._reason: ChatFinishReason = "stop"
        self.whole: JsonObject | None = None  # the response, once it has ended

    def start(self) -> Iterator[JsonObject]:
        """What can be told before the prompt is run."""
        started = self._head.response("in_progress", [])
        yield self._numbered("response.created", {"response": started})
        yield self._numbered("response.in_progress", {"response": started})

    def add(self, event: ChatEvent) -> Iterator[JsonObject]:
        """What follows from one event of the chat."""
        for kind, fields in self._follow(event):
            yield self._numbered(kind, fields)

    def fail(self, error: EndpointError) -> Iterator[JsonObject]:
        """The end, where something broke: what was said so far, and what can be told of the error."""
        told: JsonObject = {"code": error.code, "message": error.message, "param": error.param}
        yield self._numbered("error", told)
        output = [*self._done, *([] if self._open is None else [self._open.item("incomplete")])]
        failed = self._head.response("failed", output, error={"code": "server_error", "message": error.message})
        yield self._numbered("response.failed", {"response": failed})

    def _follow(self, event: ChatEvent) -> Iterator[Event]:
        match event:
            case TextDelta() if event.text or event.tokens:
                message = self._open
                if not isinstance(message, MessageItem):
                    message = MessageItem(self._new_id("msg"), self._next_index)
                    yield from self._begin(message)
                yield from message.add(event.text, event.tokens)
            case ReasoningDelta() if event.text:
                thought = self._open
                if not isinstance(thought, ReasoningItem):
                    thought = ReasoningItem(self._new_id("rs"), self._next_index)
                    yield from self._begin(thought)
                yield from thought.add(event.text)
            case ToolCallStart():
                call = CallItem(self._new_id("fc"), self._next_index, call_id=event.id, name=event.name)
                yield from self._begin(call)
            case ToolCallArguments() if isinstance(self._open, CallItem) and event.text:
                yield from self._open.add(event.text)
            case Stopped():
                yield from self._stop(event.reason)
            case Finished():
                yield self._finish(event.usage)

    @property
    def _next_index(self) -> int:
        return len(self._done) + (self._open is not None)

    def _begin(self, item: OutputItem) -> Iterator[Event]:
        yield from self._close("completed")
        self._open = item
        self._spoke = self._spoke or not isinstance(item, ReasoningItem)
        yield from item.opened()

    def _close(self, status: Status) -> Iterator[Event]:
        if self._open is not None:
            yield from self._open.closed(status)
            self._done.append(self._open.item(status))
            self._open = None

    def _stop(self, reason: ChatFinishReason) -> Iterator[Event]:
        self._reason = reason
        # Clients look for a message: an answer without a word is an empty one, unless it was cut while thinking.
        if not self._spoke and (reason != "length" or self._next_index == 0):
            yield from self._begin(MessageItem(self._new_id("msg"), self._next_index))
        yield from self._close("incomplete" if reason == "length" else "completed")

    def _finish(self, usage: Usage) -> Event:
        told = usage_object(usage, self._cost())
        if self._reason == "length":
            why: JsonObject = {"reason": "max_output_tokens"}
            self.whole = self._head.response("incomplete", self._done, usage=told, incomplete_details=why)
            return "response.incomplete", {"response": self.whole}
        now = int(self._clock())
        self.whole = self._head.response("completed", self._done, usage=told, completed_at=now)
        return "response.completed", {"response": self.whole}

    def _numbered(self, kind: str, fields: JsonObject) -> JsonObject:
        numbered: JsonObject = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return numbered
