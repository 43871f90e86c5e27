"""What an answered chat yields: frozen typed events; one `Stopped` for each choice, and `Finished` last. Pure."""

from typing import Literal

from handler.engine.events import Finished, SampledToken
from handler.engine.step import Step
from handler.frozen import dataclass

ChatFinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """Text of the answer, and the tokens that it consists of where log-probabilities were asked for. Both may be empty:
    a step without visible text."""

    text: str
    tokens: tuple[SampledToken, ...] = ()
    choice: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningDelta:
    """Text that the model thinks, apart from its answer."""

    text: str
    tokens: tuple[SampledToken, ...] = ()
    choice: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallStart:
    """A tool call begins. `call` counts the calls of a choice from 0."""

    call: int
    id: str
    name: str
    choice: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallArguments:
    """More of a call's arguments, as JSON text."""

    call: int
    text: str
    choice: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A choice has ended: nothing follows of it."""

    reason: ChatFinishReason
    choice: int = 0


ChatEvent = Step | TextDelta | ReasoningDelta | ToolCallStart | ToolCallArguments | Stopped | Finished
