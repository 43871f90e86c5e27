"""A whole answer: the same deltas that a stream sends, folded into one `chat.completion`. Pure."""

from dataclasses import dataclass, field

from handler.api.chunks import AnswerForm, Envelope, logprobs_object, usage_object
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
from handler.engine.events import SampledToken, Usage


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    arguments: list[str] = field(default_factory=list)

    def function(self) -> JsonObject:
        return {"name": self.name, "arguments": "".join(self.arguments)}


@dataclass(slots=True)
class _Choice:
    texts: list[str] = field(default_factory=list)
    tokens: list[SampledToken] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[_Call] = field(default_factory=list)
    reason: ChatFinishReason = "length"


class Folding:
    """Collects the events of one answer."""

    def __init__(self, form: AnswerForm) -> None:
        self._form = form
        self._choices = [_Choice() for _ in range(form.choices)]

    def add(self, event: ChatEvent) -> None:
        match event:
            case TextDelta(choice=i):
                self._choices[i].texts.append(event.text)
                self._choices[i].tokens += event.tokens
            case ReasoningDelta(choice=i):
                self._choices[i].reasoning.append(event.text)
            case ToolCallStart(choice=i):
                self._choices[i].calls.append(_Call(event.id, event.name))
            case ToolCallArguments(choice=i):
                self._choices[i].calls[event.call].arguments.append(event.text)
            case Stopped(choice=i):
                self._choices[i].reason = event.reason

    def completion(self, envelope: Envelope, usage: Usage, cost: float | None = None) -> JsonObject:
        """The `chat.completion`; `cost` in USD, where it is told."""
        choices: list[Json] = [self._choice(index, choice) for index, choice in enumerate(self._choices)]
        return envelope.wrap("chat.completion", choices) | {"usage": usage_object(usage, cost)}

    def _choice(self, index: int, choice: _Choice) -> JsonObject:
        return {
            "index": index,
            "message": self._message(choice),
            "logprobs": logprobs_object(choice.tokens) if self._form.logprobs else None,
            "finish_reason": self._form.finish_reason(choice.reason),
        }

    def _message(self, choice: _Choice) -> JsonObject:
        # Optional keys are there only with a value: clients take null and [] for calls.
        content = "".join(choice.texts)
        message: JsonObject = {
            "role": "assistant",
            "content": None if choice.calls and not content else content,
            "refusal": None,
        }
        if choice.reasoning:
            message["reasoning_content"] = "".join(choice.reasoning)
        if choice.calls and self._form.legacy_functions:
            message["function_call"] = choice.calls[0].function()
        elif choice.calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": call.function()} for call in choice.calls
            ]
        return message
