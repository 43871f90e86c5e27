"""Completion objects: events in, the JSON that OpenAI's specification defines out. Pure.

A stream sends a choice in pieces of the same shape as the whole; the whole is the pieces put together.
"""

from collections.abc import Callable, Iterable

from handler.api.chunks import Envelope, usage_object
from handler.api.completion_logprobs import LegacyLogprobs, merged
from handler.api.values import Json, JsonObject
from handler.chat.completion import CompletionEvent, Echo
from handler.engine.events import Delta, FinishReason, Stopped, Usage


class Pieces:
    """What each event adds to its choice. `written` says how a token is written; None: no log-probabilities."""

    def __init__(self, written: Callable[[int], bytes] | None) -> None:
        self._written = written
        self._logprobs: dict[int, LegacyLogprobs] = {}

    def of(self, event: CompletionEvent) -> JsonObject | None:
        """A piece of a choice; None where there is nothing to tell."""
        match event:
            case Echo(choice=choice, text=text):
                return _piece(choice, text, self._told(choice, lambda logprobs: logprobs.echoed(event)))
            case Delta(choice=choice, text=text, tokens=tokens) if text or tokens:
                return _piece(choice, text, self._told(choice, lambda logprobs: logprobs.generated(tokens)))
            case Stopped(choice=choice, reason=reason):
                return _piece(choice, "", None, reason)
        return None

    def _told(self, choice: int, tell: Callable[[LegacyLogprobs], JsonObject]) -> JsonObject | None:
        if self._written is None:
            return None
        return tell(self._logprobs.setdefault(choice, LegacyLogprobs(self._written)))


def _piece(choice: int, text: str, logprobs: Json, finish_reason: FinishReason | None = None) -> JsonObject:
    return {"text": text, "index": choice, "logprobs": logprobs, "finish_reason": finish_reason}


def whole_choices(pieces: Iterable[JsonObject], *, logprobs: bool) -> list[Json]:
    """The choices that the pieces make up, in order."""
    by_choice: dict[int, list[JsonObject]] = {}
    for piece in pieces:
        index = piece["index"]
        if isinstance(index, int):
            by_choice.setdefault(index, []).append(piece)
    return [_whole(index, by_choice[index], logprobs=logprobs) for index in sorted(by_choice)]


def _whole(index: int, pieces: list[JsonObject], *, logprobs: bool) -> JsonObject:
    told = [piece["logprobs"] for piece in pieces]
    return {
        "text": "".join(str(piece["text"]) for piece in pieces),
        "index": index,
        "logprobs": merged(item for item in told if isinstance(item, dict)) if logprobs else None,
        "finish_reason": pieces[-1]["finish_reason"],
    }


def completion_object(
    envelope: Envelope, choices: list[Json], usage: Usage | None = None, cost: float | None = None
) -> JsonObject:
    """A `text_completion`, whole or a chunk: they share one shape. `cost` in USD, where it is told."""
    told: JsonObject = {
        "id": envelope.id,
        "object": "text_completion",
        "created": envelope.created,
        "model": envelope.model,
        "system_fingerprint": envelope.fingerprint,
        "choices": choices,
    }
    return told if usage is None else told | {"usage": usage_object(usage, cost)}
