"""A response's events as HTTP wants them: streamed one by one, or only what the last one holds. One source for both."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence

from handler.api.chunks import dumps
from handler.api.responses.events import ResponseEvents
from handler.api.sse import event
from handler.api.values import JsonObject
from handler.chat.deltas import ChatEvent, ReasoningDelta, Stopped, TextDelta, ToolCallArguments
from handler.engine.events import Finished
from handler.record import RequestRecord


async def stream_response(
    bursts: AsyncIterator[Sequence[ChatEvent]], response: ResponseEvents, record: RequestRecord
) -> AsyncGenerator[bytes, None]:
    """Server-sent events, those of a burst together; the first two come before the prompt is run. The last one says how
    it ended: there is no `[DONE]`, as there is none at OpenAI's."""
    yield named_events(response.start())
    async for burst in bursts:
        if told := named_events(_told(burst, response, record)):
            yield told


async def fold_response(
    bursts: AsyncIterator[Sequence[ChatEvent]], response: ResponseEvents, record: RequestRecord
) -> JsonObject | None:
    """What the last event holds; None if there was none, because nobody waits any more."""
    _pass(response.start())
    async for burst in bursts:
        _pass(_told(burst, response, record))
    return response.whole


def _told(burst: Sequence[ChatEvent], response: ResponseEvents, record: RequestRecord) -> Iterator[JsonObject]:
    for item in burst:
        _note(item, record)
        yield from response.add(item)


def named_events(events: Iterable[JsonObject]) -> bytes:
    """Server-sent events that are named by their type."""
    return b"".join(f"event: {item['type']}\n".encode() + event(dumps(item)) for item in events)


def _pass(events: Iterable[JsonObject]) -> None:
    for _ in events:
        pass


def _note(item: ChatEvent, record: RequestRecord) -> None:
    match item:
        case TextDelta() | ReasoningDelta() | ToolCallArguments():
            record.token()
        case Stopped(reason=reason):
            record.stopped(reason)
        case Finished(usage=usage):
            record.finished(usage)
