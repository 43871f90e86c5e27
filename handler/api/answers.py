"""An answer's events as HTTP wants them: streamed chunk by chunk, or folded into one object. One source for both."""

from collections.abc import AsyncGenerator, AsyncIterator

from handler.api.chunks import Chunks, Envelope, completion
from handler.api.error_responses import internal_fault
from handler.api.record import RequestRecord
from handler.api.sse import DONE, event
from handler.api.values import JsonObject
from handler.chat.deltas import ChatEvent, ChatFinishReason, Stopped, TextDelta
from handler.engine.events import Finished, SampledToken
from handler.errors import ConfigurationError, EndpointError


async def stream_answer(
    events: AsyncIterator[ChatEvent], envelope: Envelope, record: RequestRecord, *, include_usage: bool
) -> AsyncGenerator[bytes, None]:
    """Server-sent events. The first comes before the prompt is run."""
    chunks = Chunks(envelope, include_usage=include_usage)
    yield event(chunks.first())
    async for item in events:
        if isinstance(item, TextDelta):
            record.token()
            if item.text or item.tokens:
                yield event(chunks.text(item))
        elif isinstance(item, Stopped):
            record.stopped(item.reason)
            yield event(chunks.finish(item.reason))
        elif isinstance(item, Finished):
            record.finished(item.usage)
            if include_usage:
                yield event(chunks.usage(item.usage))
            yield DONE


async def fold_answer(
    events: AsyncIterator[ChatEvent], envelope: Envelope, record: RequestRecord, *, logprobs: bool
) -> JsonObject | None:
    """The same deltas as one `chat.completion`; None if they ended early because nobody waits any more."""
    texts: list[str] = []
    tokens: list[SampledToken] = []
    reason: ChatFinishReason = "length"
    async for item in events:
        if isinstance(item, TextDelta):
            record.token()
            texts.append(item.text)
            tokens += item.tokens
        elif isinstance(item, Stopped):
            record.stopped(item.reason)
            reason = item.reason
        elif isinstance(item, Finished):
            record.finished(item.usage)
            return completion(
                envelope,
                content="".join(texts),
                tokens=tokens if logprobs else None,
                reason=reason,
                usage=item.usage,
            )
    return None


def told(error: Exception) -> EndpointError:
    """What the caller is told of an error: the truth where it was raised for a caller, else nothing."""
    if isinstance(error, EndpointError) and not isinstance(error, ConfigurationError):
        return error
    return internal_fault()
