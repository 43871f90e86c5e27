"""What a chat request says, apart from HTTP: messages, and how the template is to render them. Pure."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from handler.frozen import dataclass

Role = Literal["system", "developer", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call that the assistant made earlier. `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn. `content` is plain text (parts are joined at the edge), None where the turn has none."""

    role: Role
    content: str | None = None
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """The turns in order, at least one."""

    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateOptions:
    """How to render, in vLLM's words.

    `add_generation_prompt` opens the assistant's turn. `continue_final_message` leaves the last assistant message
    open, so that the model carries on with it; the two exclude each other. `template_kwargs` are variables that the
    model's own chat template reads (`enable_thinking`). `reasoning_effort` is OpenAI's word for one of them.
    """

    add_generation_prompt: bool = True
    continue_final_message: bool = False
    template_kwargs: Mapping[str, object] = field(default_factory=dict)
    reasoning_effort: str | None = None
