"""An answer's events as HTTP wants them: streamed chunk by chunk, or folded into one object. One source for both."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence

from handler.api.chunks import AnswerForm, Chunks, Envelope
from handler.api.folding import Folding
from handler.api.sse import DONE, event
from handler.api.values import JsonObject
from handler.chat.deltas import (
    ChatEvent,
    ReasoningDelta,
    Stopped,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from handler.engine.events import Finished
from handler.record import RequestRecord


async def stream_answer(
    bursts: AsyncIterator[Sequence[ChatEvent]], envelope: Envelope, record: RequestRecord, form: AnswerForm
) -> AsyncGenerator[bytes, None]:
    """Server-sent events, those of a burst together. The first come before the prompt is run."""
    chunks = Chunks(envelope, form)
    yield b"".join(map(event, chunks.first()))
    async for burst in bursts:
        if told := b"".join(_told(burst, chunks, record, form)):
            yield told


def _told(burst: Sequence[ChatEvent], chunks: Chunks, record: RequestRecord, form: AnswerForm) -> Iterator[bytes]:
    for item in burst:
        _note(record, item)
        match item:
            case TextDelta(text=text, tokens=tokens) if text or tokens:
                yield event(chunks.text(item))
            case ReasoningDelta(text=text) if text:
                yield event(chunks.reasoning(item))
            case ToolCallStart():
                yield event(chunks.call(item))
            case ToolCallArguments(text=text) if text:
                yield event(chunks.arguments(item))
            case Stopped():
                yield event(chunks.finish(item))
            case Finished(usage=usage):
                if form.include_usage:
                    yield event(chunks.usage(usage, record.told_cost()))
                yield DONE


async def fold_answer(
    bursts: AsyncIterator[Sequence[ChatEvent]], envelope: Envelope, record: RequestRecord, form: AnswerForm
) -> JsonObject | None:
    """The same deltas as one `chat.completion`; None if they ended early because nobody waits any more."""
    folding = Folding(form)
    async for burst in bursts:
        for item in burst:
            _note(record, item)
            folding.add(item)
            if isinstance(item, Finished):
                return folding.completion(envelope, item.usage, record.told_cost())
    return None


def _note(record: RequestRecord, item: ChatEvent) -> None:
    match item:
        case TextDelta() | ReasoningDelta() | ToolCallArguments():
            record.token()
        case Stopped(reason=reason):
            record.stopped(reason)
        case Finished(usage=usage):
            record.finished(usage)
