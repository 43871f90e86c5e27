"""`input`: a string or a list of items in, the turns of a conversation out. Pure. Text only: other parts are refused by
name and never fetched. Unknown keys are `keys`' business, not ours.
"""

from collections.abc import Mapping
from typing import Final

from handler.api.responses.turns import Turns
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
        turns = Turns()
        for i, item in enumerate(value):
            _add(turns, as_object(item, f"{path}[{i}]"), f"{path}[{i}]")
        return turns.finish()


def _add(turns: Turns, item: JsonObject, path: str) -> None:
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


def _message(turns: Turns, item: JsonObject, path: str) -> None:
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


def _call_output(turns: Turns, item: JsonObject, path: str) -> None:
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
    optional(part, "logprobs", _objects, path)
    return required(part, "refusal" if kind == "refusal" else "text", as_text, path)


def _reasoning(item: JsonObject, path: str) -> str:
    """The thoughts themselves, else their summary; empty where the item holds neither."""
    _only_null(item, "encrypted_content", path)
    summary = _parts(item, "summary", "summary_text", path)
    return _parts(item, "content", "reasoning_text", path) or summary


def _parts(item: JsonObject, key: str, kind: str, path: str) -> str:
    parts = optional(item, key, as_array, path) or []
    path = f"{path}.{key}"
    return "\n".join(_part(as_object(part, f"{path}[{i}]"), f"{path}[{i}]", (kind,)) for i, part in enumerate(parts))


def _objects(value: Json, path: str) -> None:
    for i, item in enumerate(as_array(value, path)):
        as_object(item, f"{path}[{i}]")


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
