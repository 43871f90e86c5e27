"""Chat completion objects: events in, the JSON that OpenAI's specification defines out. Pure.

The delta of one token is the hot path: it is cut once into a prefix and a suffix, and each token only escapes its text.
The cut is made in the text that `dumps` wrote, so both ways give the same bytes. All JSON here is ASCII: some clients
take U+2028 or U+0085 in a stream for the end of a line.

Log-probabilities belong to the content: what is thought and what is called has none.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from handler.api.values import Json, JsonObject
from handler.chat.deltas import ChatFinishReason, ReasoningDelta, Stopped, TextDelta, ToolCallArguments, ToolCallStart
from handler.engine.events import SampledToken, TokenLogprob, Usage
from handler.frozen import dataclass

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


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """How the answer is to be told. `legacy_functions`: calls in the older shape, one at most."""

    choices: int = 1
    include_usage: bool = False
    logprobs: bool = False
    legacy_functions: bool = False

    def finish_reason(self, reason: ChatFinishReason) -> str:
        """The reason in this form's words."""
        return "function_call" if self.legacy_functions and reason == "tool_calls" else reason


class Chunks:
    """The `chat.completion.chunk`s of one answer, as JSON text. Each has one choice; the last, with the usage, none."""

    def __init__(self, envelope: Envelope, form: AnswerForm) -> None:
        self._envelope = envelope
        self._form = form
        self._cuts: dict[tuple[int, str, int], tuple[str, str]] = {}

    def chunk(
        self, choice: int, delta: JsonObject, *, logprobs: Json = None, finish_reason: str | None = None
    ) -> JsonObject:
        """One chunk."""
        told: JsonObject = {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        chunk = self._envelope.wrap("chat.completion.chunk", [told])
        if self._form.include_usage:
            chunk["usage"] = None
        return chunk

    def first(self) -> Iterator[str]:
        """Each choice's role, before any text."""
        for choice in range(self._form.choices):
            yield dumps(self.chunk(choice, {"role": "assistant", "content": ""}))

    def text(self, delta: TextDelta) -> str:
        """The text of one token."""
        if delta.tokens:
            logprobs = logprobs_object(delta.tokens)
            return dumps(self.chunk(delta.choice, {"content": delta.text}, logprobs=logprobs))
        return self._cut(delta.choice, "content", 0, lambda text: {"content": text}, delta.text)

    def reasoning(self, delta: ReasoningDelta) -> str:
        """What is thought."""
        return self._cut(delta.choice, "reasoning", 0, lambda text: {"reasoning_content": text}, delta.text)

    def call(self, start: ToolCallStart) -> str:
        """The beginning of a call."""
        function: JsonObject = {"name": start.name, "arguments": ""}
        if self._form.legacy_functions:
            return dumps(self.chunk(start.choice, {"function_call": function}))
        call: JsonObject = {"index": start.call, "id": start.id, "type": "function", "function": function}
        return dumps(self.chunk(start.choice, {"tool_calls": [call]}))

    def arguments(self, delta: ToolCallArguments) -> str:
        """More of a call's arguments."""

        def told(text: str) -> JsonObject:
            if self._form.legacy_functions:
                return {"function_call": {"arguments": text}}
            return {"tool_calls": [{"index": delta.call, "function": {"arguments": text}}]}

        return self._cut(delta.choice, "arguments", delta.call, told, delta.text)

    def finish(self, stopped: Stopped) -> str:
        """The end of a choice, with the reason."""
        return dumps(self.chunk(stopped.choice, {}, finish_reason=self._form.finish_reason(stopped.reason)))

    def usage(self, usage: Usage, cost: float | None = None) -> str:
        """The chunk without choices that `include_usage` asks for."""
        return dumps(self._envelope.wrap("chat.completion.chunk", []) | {"usage": usage_object(usage, cost)})

    def _cut(self, choice: int, kind: str, number: int, delta: Callable[[str], JsonObject], text: str) -> str:
        """The chunk of `delta(text)`, of which only the text is not there yet."""
        key = (choice, kind, number)
        if key not in self._cuts:
            prefix, _, suffix = dumps(self.chunk(choice, delta(_MARK))).partition(_encode_text(_MARK))
            self._cuts[key] = prefix, suffix
        prefix, suffix = self._cuts[key]
        return prefix + _encode_text(text) + suffix


def usage_object(usage: Usage, cost: float | None = None) -> JsonObject:
    """Token counts as `CompletionUsage`; with the cost in USD, where it is told, as OpenRouter tells it."""
    told: JsonObject = {} if cost is None else {"cost": cost}
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": usage.accepted_prediction_tokens,
            "rejected_prediction_tokens": usage.rejected_prediction_tokens,
        },
        **told,
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
