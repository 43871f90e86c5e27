"""`messages`: JSON in, typed turns out. Pure. Text only: other parts are refused by name and never fetched.

Parts of text are joined by a line break, as vLLM joins them. Unknown keys are `unknown_keys`' business, not ours.
"""

from collections.abc import Mapping
from typing import Final

from handler.api.values import Json, JsonObject, Only, as_array, as_object, as_text, missing, wrong_type
from handler.chat.conversation import Message, Role, ToolCall
from handler.errors import InvalidRequest, UnsupportedParameter, UnsupportedValue

# Every key that a message of the role may carry.
MESSAGE_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "system": frozenset({"role", "content", "name"}),
    "developer": frozenset({"role", "content", "name"}),
    "user": frozenset({"role", "content", "name"}),
    "assistant": frozenset(
        {"role", "content", "name", "refusal", "reasoning_content", "reasoning", "tool_calls"}
        | {"function_call", "audio", "annotations"}
    ),
    "tool": frozenset({"role", "content", "name", "tool_call_id"}),
}
PART_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"type", "text", "prompt_cache_breakpoint"}),
    "refusal": frozenset({"type", "refusal"}),
}
TOOL_CALL_KEYS: Final = frozenset({"id", "type", "function"})
FUNCTION_KEYS: Final = frozenset({"name", "arguments"})

_ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_MEDIA: Final = frozenset({"image_url", "input_audio", "file"})


class Messages:
    """Reads the list of messages."""

    summary = "array of messages, at least one"

    def __call__(self, value: Json, path: str) -> tuple[Message, ...]:
        items = as_array(value, path)
        if not items:
            raise _empty(path, "messages")
        return tuple(_message(as_object(item, f"{path}[{i}]"), f"{path}[{i}]") for i, item in enumerate(items))


def _message(item: JsonObject, path: str) -> Message:
    role = _role(item, path)
    if role != "assistant":
        call_id = _text(item, "tool_call_id", path)
        if role == "tool" and call_id is None:
            raise missing(f"{path}.tool_call_id")
        content = _content(item, path, refusals=False)
        if content is None:
            raise missing(f"{path}.content")
        return Message(role=role, content=content, name=_text(item, "name", path), tool_call_id=call_id)
    return _assistant(item, path)


def _assistant(item: JsonObject, path: str) -> Message:
    for key, what in (("audio", "the message's text"), ("function_call", "tool_calls")):
        if item.get(key) is not None:
            raise UnsupportedParameter(
                f"Unsupported parameter: '{path}.{key}' is not supported by this server; send {what} instead.",
                param=f"{path}.{key}",
            )
    if item.get("annotations") is not None:
        Only(([],))(item["annotations"], f"{path}.annotations")
    message = Message(
        role="assistant",
        content=_content(item, path, refusals=True),
        name=_text(item, "name", path),
        tool_calls=_tool_calls(item, path),
        reasoning_content=_reasoning(item, path),
        refusal=_text(item, "refusal", path),
    )
    if message.content is None and not message.tool_calls and message.refusal is None:
        raise missing(f"{path}.content")
    return message


def _role(item: JsonObject, path: str) -> Role:
    value = item.get("role")
    if value is None:
        raise missing(f"{path}.role")
    role = as_text(value, f"{path}.role")
    if role == "function":
        raise UnsupportedValue(
            f"Unsupported value: '{path}.role' does not support 'function'; send the result with the role 'tool'.",
            param=f"{path}.role",
        )
    if role not in _ROLES:
        raise InvalidRequest(
            f"Invalid value for '{path}.role': expected one of {', '.join(_ROLES)}.", param=f"{path}.role"
        )
    return _ROLES[role]


def _content(item: JsonObject, path: str, *, refusals: bool) -> str | None:
    value, path = item.get("content"), f"{path}.content"
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise wrong_type(path, "a string or an array of content parts", value)
    if not value:
        raise _empty(path, "content parts")
    return "\n".join(_part(as_object(part, f"{path}[{i}]"), f"{path}[{i}]", refusals) for i, part in enumerate(value))


def _part(part: JsonObject, path: str, refusals: bool) -> str:
    kind = _required_text(part, "type", path)
    if kind in _MEDIA:
        raise UnsupportedValue(
            f"Unsupported value: '{path}' is a part of type '{kind}'; this server's models read text parts only.",
            param=path,
        )
    if kind not in (("text", "refusal") if refusals else ("text",)):
        raise InvalidRequest(f"Invalid value for '{path}.type': expected 'text'.", param=f"{path}.type")
    if part.get("prompt_cache_breakpoint") is not None:
        raise UnsupportedParameter(
            f"Unsupported parameter: '{path}.prompt_cache_breakpoint' is not supported; caching is automatic.",
            param=f"{path}.prompt_cache_breakpoint",
        )
    return _required_text(part, kind, path)


def _tool_calls(item: JsonObject, path: str) -> tuple[ToolCall, ...]:
    value, path = item.get("tool_calls"), f"{path}.tool_calls"
    if value is None:
        return ()
    return tuple(
        _tool_call(as_object(call, f"{path}[{i}]"), f"{path}[{i}]") for i, call in enumerate(as_array(value, path))
    )


def _tool_call(call: JsonObject, path: str) -> ToolCall:
    if _required_text(call, "type", path) != "function":
        raise UnsupportedValue(f"Unsupported value: '{path}.type' supports only 'function'.", param=f"{path}.type")
    function = call.get("function")
    if function is None:
        raise missing(f"{path}.function")
    function = as_object(function, f"{path}.function")
    return ToolCall(
        id=_required_text(call, "id", path),
        name=_required_text(function, "name", f"{path}.function"),
        arguments=_required_text(function, "arguments", f"{path}.function"),
    )


def _reasoning(item: JsonObject, path: str) -> str | None:
    """Two names are in use for the same text."""
    first, second = _text(item, "reasoning_content", path), _text(item, "reasoning", path)
    if first is not None and second is not None and first != second:
        raise InvalidRequest(
            f"'{path}.reasoning_content' and '{path}.reasoning' are two names of one field: send one of them.",
            param=f"{path}.reasoning",
        )
    return second if first is None else first


def _text(item: JsonObject, key: str, path: str) -> str | None:
    value = item.get(key)
    return None if value is None else as_text(value, f"{path}.{key}")


def _required_text(item: JsonObject, key: str, path: str) -> str:
    text = _text(item, key, path)
    if text is None:
        raise missing(f"{path}.{key}")
    return text


def _empty(path: str, what: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid '{path}': empty array. Expected an array of {what} with at least one.", param=path, code="empty_array"
    )
