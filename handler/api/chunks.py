"""Chat completion objects: events in, the JSON that OpenAI's specification defines out. Pure.

The delta of one token is the hot path: it is cut once into a prefix and a suffix, and each token only escapes its text.
The cut is made in the text that `dumps` wrote, so both ways give the same bytes. All JSON here is ASCII: some clients
take U+2028 or U+0085 in a stream for the end of a line.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from handler.api.values import Json, JsonObject
from handler.chat.deltas import ChatFinishReason, TextDelta
from handler.engine.events import SampledToken, TokenLogprob, Usage

# What OpenAI sends for a token that is out of reach; −inf is not JSON.
LOWEST_LOGPROB = -9999.0

_encode_text = json.encoder.encode_basestring_ascii
# A control character: no id, model name or fingerprint holds it.
_MARK = "\x00"


def dumps(value: Json) -> str:
    """Compact ASCII JSON; ValueError for NaN and infinities."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What every object of one answer has in common. `created` is in Unix seconds; `model` is the name asked for."""

    id: str
    created: int
    model: str
    fingerprint: str

    def wrap(self, kind: Literal["chat.completion", "chat.completion.chunk"], choices: list[Json]) -> JsonObject:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        }


class Chunks:
    """The `chat.completion.chunk`s of one answer, as JSON text."""

    def __init__(self, envelope: Envelope, *, include_usage: bool) -> None:
        self._envelope = envelope
        self._include_usage = include_usage
        whole = dumps(self.chunk({"content": _MARK}))
        self._prefix, _, self._suffix = whole.partition(_encode_text(_MARK))

    def chunk(
        self, delta: JsonObject, *, logprobs: Json = None, finish_reason: ChatFinishReason | None = None
    ) -> JsonObject:
        """One chunk with one choice."""
        choice: JsonObject = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        chunk = self._envelope.wrap("chat.completion.chunk", [choice])
        if self._include_usage:
            chunk["usage"] = None
        return chunk

    def first(self) -> str:
        """The role, before any text."""
        return dumps(self.chunk({"role": "assistant", "content": ""}))

    def text(self, delta: TextDelta) -> str:
        """The text of one token."""
        if not delta.tokens:
            return self._prefix + _encode_text(delta.text) + self._suffix
        return dumps(self.chunk({"content": delta.text}, logprobs=logprobs_object(delta.tokens)))

    def finish(self, reason: ChatFinishReason) -> str:
        """The end, with the reason."""
        return dumps(self.chunk({}, finish_reason=reason))

    def usage(self, usage: Usage) -> str:
        """The chunk without choices that `include_usage` asks for."""
        return dumps(self._envelope.wrap("chat.completion.chunk", []) | {"usage": usage_object(usage)})


def completion(
    envelope: Envelope, *, content: str, tokens: Iterable[SampledToken] | None, reason: ChatFinishReason, usage: Usage
) -> JsonObject:
    """The `chat.completion` of an answer that is not streamed. `tokens` None: no log-probabilities were asked for."""
    choice: JsonObject = {
        "index": 0,
        "message": {"role": "assistant", "content": content, "refusal": None},
        "logprobs": None if tokens is None else logprobs_object(tokens),
        "finish_reason": reason,
    }
    return envelope.wrap("chat.completion", [choice]) | {"usage": usage_object(usage)}


def usage_object(usage: Usage) -> JsonObject:
    """Token counts as `CompletionUsage`."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def logprobs_object(tokens: Iterable[SampledToken]) -> JsonObject:
    """The log-probabilities of generated tokens, natural logarithms."""
    return {
        "content": [{**_candidate(t.chosen), "top_logprobs": [_candidate(top) for top in t.top]} for t in tokens],
        "refusal": None,
    }


def _candidate(token: TokenLogprob) -> JsonObject:
    return {
        "token": token.data.decode(errors="replace"),
        "logprob": max(token.logprob, LOWEST_LOGPROB),
        "bytes": list(token.data),
    }
