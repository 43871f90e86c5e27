"""A completion's events as HTTP wants them: streamed chunk by chunk, or folded into one object. One source for both."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence

from handler.api.chunks import Envelope, dumps
from handler.api.completion_objects import Pieces, completion_object, whole_choices
from handler.api.sse import DONE, event
from handler.api.values import JsonObject
from handler.chat.completion import CompletionEvent
from handler.engine.events import Delta, Finished, Stopped
from handler.frozen import dataclass
from handler.record import RequestRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionForm:
    """How the answer is to be told. `written` says how a token is written; None: no log-probabilities."""

    written: Callable[[int], bytes] | None = None
    include_usage: bool = False


async def stream_completion(
    bursts: AsyncIterator[Sequence[CompletionEvent]], envelope: Envelope, record: RequestRecord, form: CompletionForm
) -> AsyncGenerator[bytes, None]:
    """Server-sent events, those of a burst together."""
    pieces = Pieces(form.written)
    async for burst in bursts:
        if told := b"".join(_told(burst, pieces, envelope, record, form)):
            yield told


def _told(
    burst: Sequence[CompletionEvent], pieces: Pieces, envelope: Envelope, record: RequestRecord, form: CompletionForm
) -> Iterator[bytes]:
    no_usage: JsonObject = {"usage": None} if form.include_usage else {}
    for item in burst:
        _note(record, item)
        if (piece := pieces.of(item)) is not None:
            yield event(dumps(completion_object(envelope, [piece]) | no_usage))
        elif isinstance(item, Finished):
            if form.include_usage:
                yield event(dumps(completion_object(envelope, [], item.usage, record.told_cost())))
            yield DONE


async def fold_completion(
    bursts: AsyncIterator[Sequence[CompletionEvent]], envelope: Envelope, record: RequestRecord, form: CompletionForm
) -> JsonObject | None:
    """The same pieces as one object; None if they ended early because nobody waits any more."""
    pieces = Pieces(form.written)
    told: list[JsonObject] = []
    async for burst in bursts:
        for item in burst:
            _note(record, item)
            if (piece := pieces.of(item)) is not None:
                told.append(piece)
            elif isinstance(item, Finished):
                choices = whole_choices(told, logprobs=form.written is not None)
                return completion_object(envelope, choices, item.usage, record.told_cost())
    return None


def _note(record: RequestRecord, item: CompletionEvent) -> None:
    match item:
        case Delta():
            record.token()
        case Stopped(reason=reason):
            record.stopped(reason)
        case Finished(usage=usage):
            record.finished(usage)
