"""The items of a response while they are being written: each knows its own events. Pure.

Every item is announced empty, grows by deltas, and is told once more as a whole when it is done. An event here is its
type and its fields; numbering them is the response's business.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, TypeAlias

from handler.api.chunks import LOWEST_LOGPROB, logprobs_object
from handler.api.values import Json, JsonObject
from handler.engine.events import SampledToken, TokenLogprob

Status = Literal["in_progress", "completed", "incomplete"]
Event: TypeAlias = tuple[str, JsonObject]


class OutputItem(Protocol):
    """One item of `output`."""

    def opened(self) -> Iterator[Event]: ...

    def closed(self, status: Status) -> Iterator[Event]: ...

    def item(self, status: Status) -> JsonObject:
        """The item with all that it holds so far."""
        ...


class MessageItem:
    """What the model says."""

    def __init__(self, item_id: str, index: int) -> None:
        self._id = item_id
        self._index = index
        self._at: JsonObject = {"item_id": item_id, "output_index": index, "content_index": 0}
        self._text = ""
        self._tokens: list[SampledToken] = []

    def opened(self) -> Iterator[Event]:
        yield "response.output_item.added", _item_at(self._index, {**self.item("in_progress"), "content": []})
        yield "response.content_part.added", {**self._at, "part": self._part()}

    def add(self, text: str, tokens: Sequence[SampledToken]) -> Iterator[Event]:
        """More text, with the log-probabilities of its tokens where they were asked for."""
        self._text += text
        self._tokens += tokens
        yield "response.output_text.delta", {**self._at, "delta": text, "logprobs": _without_bytes(tokens)}

    def closed(self, status: Status) -> Iterator[Event]:
        yield "response.output_text.done", {**self._at, "text": self._text, "logprobs": _without_bytes(self._tokens)}
        yield "response.content_part.done", {**self._at, "part": self._part()}
        yield "response.output_item.done", _item_at(self._index, self.item(status))

    def item(self, status: Status) -> JsonObject:
        return {"id": self._id, "type": "message", "status": status, "role": "assistant", "content": [self._part()]}

    def _part(self) -> JsonObject:
        logprobs = logprobs_object(self._tokens)["content"]
        return {"type": "output_text", "text": self._text, "annotations": [], "logprobs": logprobs}


class ReasoningItem:
    """What the model thinks, in its own words; there is no summary of it."""

    def __init__(self, item_id: str, index: int) -> None:
        self._id = item_id
        self._index = index
        self._at: JsonObject = {"item_id": item_id, "output_index": index, "content_index": 0}
        self._text = ""

    def opened(self) -> Iterator[Event]:
        yield "response.output_item.added", _item_at(self._index, {**self.item("in_progress"), "content": []})
        yield "response.content_part.added", {**self._at, "part": self._part()}

    def add(self, text: str) -> Iterator[Event]:
        """More thought."""
        self._text += text
        yield "response.reasoning_text.delta", {**self._at, "delta": text}

    def closed(self, status: Status) -> Iterator[Event]:
        yield "response.reasoning_text.done", {**self._at, "text": self._text}
        yield "response.content_part.done", {**self._at, "part": self._part()}
        yield "response.output_item.done", _item_at(self._index, self.item(status))

    def item(self, status: Status) -> JsonObject:
        return {"id": self._id, "type": "reasoning", "status": status, "summary": [], "content": [self._part()]}

    def _part(self) -> JsonObject:
        return {"type": "reasoning_text", "text": self._text}


class CallItem:
    """A function that the model calls. `call_id` is what its output will refer to."""

    def __init__(self, item_id: str, index: int, *, call_id: str, name: str) -> None:
        self._id = item_id
        self._index = index
        self._at: JsonObject = {"item_id": item_id, "output_index": index}
        self._call_id = call_id
        self._name = name
        self._arguments = ""

    def opened(self) -> Iterator[Event]:
        yield "response.output_item.added", _item_at(self._index, self.item("in_progress"))

    def add(self, text: str) -> Iterator[Event]:
        """More of the arguments' JSON."""
        self._arguments += text
        yield "response.function_call_arguments.delta", {**self._at, "delta": text}

    def closed(self, status: Status) -> Iterator[Event]:
        done: JsonObject = {**self._at, "name": self._name, "arguments": self._arguments}
        yield "response.function_call_arguments.done", done
        yield "response.output_item.done", _item_at(self._index, self.item(status))

    def item(self, status: Status) -> JsonObject:
        return {
            "id": self._id,
            "type": "function_call",
            "status": status,
            "call_id": self._call_id,
            "name": self._name,
            "arguments": self._arguments,
        }


def _without_bytes(tokens: Sequence[SampledToken]) -> list[Json]:
    """The log-probabilities as events tell them; only the part that is done tells the tokens' bytes."""
    return [{**_logprob(token.chosen), "top_logprobs": [_logprob(top) for top in token.top]} for token in tokens]


def _logprob(token: TokenLogprob) -> JsonObject:
    return {"token": token.data.decode(errors="replace"), "logprob": max(token.logprob, LOWEST_LOGPROB)}


def _item_at(index: int, item: JsonObject) -> JsonObject:
    return {"output_index": index, "item": item}
