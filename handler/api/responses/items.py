"""`input`: a string or a list of items in, the turns of a conversation out. Pure. Text only: other parts are refused by
name and never fetched.

What the model itself made comes back as separate items: reasoning, a message and calls that follow one another were one
turn, and become one again. Unknown keys are `keys`' business, not ours.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from handler.api.values import (
    Json,
    JsonObject,
    OneOf,
    Only,
    Reader,
    as_array,
    as_object,
    as_text,
    missing,
    optional,
    required,
    wrong_type,
)
from handler.chat.conversation import Message, Role, ToolCall
from handler.errors import InvalidRequest, UnsupportedValue

_ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
}
# Real items of OpenAI's that need what a stateless server of text has not: hosted tools, or something stored.
UNSUPPORTED_ITEMS: Final = frozenset(
    {"file_search_call", "web_search_call", "image_generation_call", "code_interpreter_call"}
    | {"computer_call", "computer_call_output", "local_shell_call", "local_shell_call_output"}
    | {"shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output"}
    | {"mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "mcp_call"}
    | {"custom_tool_call", "custom_tool_call_output", "tool_search_call", "tool_search_output", "additional_tools"}
    | {"program", "program_output", "compaction", "compaction_trigger"}
)
_MEDIA: Final = frozenset({"input_image", "input_file", "input_audio"})
_STATUS: Final = OneOf(("in_progress", "completed", "incomplete"))
_DIRECT_CALLER: Final = Only(({"type": "direct"},))


class Input:
    """Reads `input`."""

    summary = "string or array of items, at least one"

    def __call__(self, value: Json, path: str) -> tuple[Message, ...]:
        if isinstance(value, str):
            return (Message(role="user", content=value),)
        if not isinstance(value, list):
            raise wrong_type(path, "a string or an array of items", value)
        if not value:
            raise _empty(path, "items")
        turns = _Turns()
        for i, item in enumerate(value):
            _add(turns, as_object(item, f"{path}[{i}]"), f"{path}[{i}]")
        return turns.finish()


class _Turns:
    """Turns in the making: the last one may still grow, while it is the assistant's."""

    def __init__(self) -> None:
        self._turns: list[Message] = []
        self._open: Message | None = None
        self._calls: set[str] = set()

    def add(self, turn: Message) -> None:
        self._close()
        self._turns.append(turn)

    def think(self, text: str) -> None:
        turn = self._assistant(fresh=self._has_spoken)
        self._open = replace(turn, reasoning_content="\n".join(filter(None, (turn.reasoning_content, text))))

    def say(self, text: str) -> None:
        turn = self._assistant(fresh=self._has_spoken)
        self._open = replace(turn, content=text)

    def call(self, call: ToolCall) -> None:
        turn = self._assistant(fresh=False)
        self._open = replace(turn, tool_calls=(*turn.tool_calls, call))
        self._calls.add(call.id)

    def knows(self, call_id: str) -> bool:
        return call_id in self._calls

    def finish(self) -> tuple[Message, ...]:
        self._close()
        return tuple(self._turns)

    @property
    def _has_spoken(self) -> bool:
        return self._open is not None and (self._open.content is not None or bool(self._open.tool_calls))

    def _assistant(self, *, fresh: bool) -> Message:
        if fresh:
            self._close()
        return self._open or Message(role="assistant")

    def _close(self) -> None:
        if self._open is not None:
            self._turns.append(self._open)
            self._open = None


def _add(turns: _Turns, item: JsonObject, path: str) -> None:
    kind = optional(item, "type", as_text, path)
    optional(item, "id", as_text, path)
    if kind is None and "role" not in item and "id" in item:
        kind = "item_reference"  # the one type that may go unnamed beside messages
    if kind != "item_reference":
        optional(item, "status", _STATUS, path)
    match kind:
        case None | "message":
            _message(turns, item, path)
        case "function_call":
            _check_caller(item, path)
            turns.call(
                ToolCall(
                    id=required(item, "call_id", as_text, path),
                    name=required(item, "name", as_text, path),
                    arguments=required(item, "arguments", as_text, path),
                )
            )
        case "function_call_output":
            _check_caller(item, path)
            _call_output(turns, item, path)
        case "reasoning":
            if text := _reasoning(item, path):
                turns.think(text)
        case "item_reference":
            raise UnsupportedValue(
                f"Unsupported value: '{path}' refers to a stored item, and this server stores nothing. Send the item"
                " itself (clients do so with 'store': false).",
                param=path,
            )
        case _:
            raise _unknown_type(kind, path)


def _message(turns: _Turns, item: JsonObject, path: str) -> None:
    role = required(item, "role", as_text, path)
    if role not in _ROLES:
        raise InvalidRequest(
            f"Invalid value for '{path}.role': expected one of {', '.join(_ROLES)}.", param=f"{path}.role"
        )
    _only_null(item, "phase", path)
    if role != "assistant":
        turns.add(Message(role=_ROLES[role], content=_text(item, "content", path, ("input_text",))))
        return
    turns.say(_text(item, "content", path, ("output_text", "input_text", "refusal")))


def _call_output(turns: _Turns, item: JsonObject, path: str) -> None:
    call_id = required(item, "call_id", as_text, path)
    if not turns.knows(call_id):
        raise InvalidRequest(
            f"No tool call found for '{path}': send the function_call item with the same call_id before it.",
            param=path,
        )
    turns.add(
        Message(
            role="tool",
            content=_text(item, "output", path, ("input_text",)),
            name=optional(item, "name", as_text, path),
            tool_call_id=call_id,
        )
    )


def _text(item: JsonObject, key: str, path: str, kinds: tuple[str, ...]) -> str:
    """The text under `key`: a string, or parts of the types `kinds`, joined by line breaks."""
    value, path = item.get(key), f"{path}.{key}"
    if value is None:
        raise missing(path)
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise wrong_type(path, "a string or an array of content parts", value)
    if not value:
        raise _empty(path, "content parts")
    return "\n".join(_part(as_object(part, f"{path}[{i}]"), f"{path}[{i}]", kinds) for i, part in enumerate(value))


def _part(part: JsonObject, path: str, kinds: tuple[str, ...]) -> str:
    kind = required(part, "type", as_text, path)
    if kind in _MEDIA:
        raise UnsupportedValue(
            f"Unsupported value: '{path}' is a part of type '{kind}'; this server's models read text parts only.",
            param=path,
        )
    if kind not in kinds:
        raise InvalidRequest(
            f"Invalid value for '{path}.type': expected {' or '.join(map(repr, kinds))}.", param=f"{path}.type"
        )
    _only_null(part, "prompt_cache_breakpoint", path)
    optional(part, "annotations", Only(([],)), path)
    optional(part, "logprobs", as_array, path)
    return required(part, "refusal" if kind == "refusal" else "text", as_text, path)


def _reasoning(item: JsonObject, path: str) -> str:
    """The thoughts themselves, else their summary; empty where the item holds neither."""
    _only_null(item, "encrypted_content", path)
    content = _parts(item, "content", "reasoning_text", path)
    return content or _parts(item, "summary", "summary_text", path)


def _parts(item: JsonObject, key: str, kind: str, path: str) -> str:
    parts = optional(item, key, as_array, path) or []
    path = f"{path}.{key}"
    return "\n".join(_part(as_object(part, f"{path}[{i}]"), f"{path}[{i}]", (kind,)) for i, part in enumerate(parts))


def _check_caller(item: JsonObject, path: str) -> None:
    _only_null(item, "namespace", path)
    optional(item, "caller", _DIRECT_CALLER, path)


def _only_null(item: JsonObject, key: str, path: str) -> None:
    nothing: Reader[None] = Only()
    optional(item, key, nothing, path)


def _unknown_type(kind: str, path: str) -> InvalidRequest:
    if kind in UNSUPPORTED_ITEMS:
        return UnsupportedValue(
            f"Unsupported value: '{path}' is an item of type '{kind}'; this server takes message, function_call,"
            " function_call_output and reasoning items.",
            param=f"{path}.type",
        )
    return InvalidRequest(
        f"Invalid value for '{path}.type': expected message, function_call, function_call_output or reasoning.",
        param=f"{path}.type",
    )


def _empty(path: str, what: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid '{path}': empty array. Expected an array of {what} with at least one.", param=path, code="empty_array"
    )
