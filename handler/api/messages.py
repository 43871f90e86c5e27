"""`messages`: JSON in, typed turns out. Pure. Text only: other parts are refused by name and never fetched.

Parts of text are joined by a line break, as vLLM joins them. A tool message answers a call that was made before it, as
OpenAI demands. The older `function_call` and role `function` become a call and its answer. Unknown keys are
`unknown_keys`' business, not ours.
"""

from collections.abc import Mapping
from typing import Final

from handler.api.values import (
    Json,
    JsonObject,
    Only,
    as_array,
    as_object,
    as_text,
    missing,
    optional,
    required,
    wrong_type,
)
from handler.chat.conversation import Message, Role, ToolCall
from handler.errors import InvalidRequest, UnsupportedParameter, UnsupportedValue

# Every key that a message of the role may carry. `parsed` and `parsed_arguments` are what the openai package has read
# from the content and the arguments beside them, and `index` what it counted: it sends its answers back with them.
MESSAGE_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "system": frozenset({"role", "content", "name"}),
    "developer": frozenset({"role", "content", "name"}),
    "user": frozenset({"role", "content", "name"}),
    "assistant": frozenset(
        {"role", "content", "name", "refusal", "reasoning_content", "reasoning", "tool_calls"}
        | {"function_call", "audio", "annotations", "provider_specific_fields", "parsed"}
    ),
    "tool": frozenset({"role", "content", "name", "tool_call_id"}),
    "function": frozenset({"role", "content", "name"}),
}
PART_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"type", "text", "prompt_cache_breakpoint"}),
    "refusal": frozenset({"type", "refusal"}),
}
TOOL_CALL_KEYS: Final = frozenset({"id", "type", "function", "index"})
FUNCTION_KEYS: Final = frozenset({"name", "arguments", "parsed_arguments"})

_ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_MEDIA: Final = frozenset({"image_url", "input_audio", "file"})


class Messages:
    """Reads the list of messages."""

    summary = "array of messages, at least one"

    def __call__(self, value: Json, path: str) -> tuple[Message, ...]:
        items = as_array(value, path)
        if not items:
            raise _empty(path, "messages")
        calls = _Calls()
        return tuple(_message(as_object(item, f"{path}[{i}]"), f"{path}[{i}]", calls) for i, item in enumerate(items))


class _Calls:
    """The calls that the assistant has made so far in the conversation."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._functions: dict[str, str] = {}  # name → id of the last function_call
        self._count = 0

    def add(self, calls: tuple[ToolCall, ...]) -> None:
        self._ids.update(call.id for call in calls)

    def add_function(self, name: str) -> str:
        """The id that a function_call gets, since it has none of its own."""
        self._functions[name] = call_id = f"function_call_{self._count}"
        self._count += 1
        return call_id

    def function(self, name: str) -> str | None:
        """The id of the call that a message of the role `function` answers."""
        return self._functions.get(name)

    def check_answer(self, call_id: str, path: str) -> None:
        if not self._ids:
            raise InvalidRequest(
                f"Invalid parameter: '{path}' has the role 'tool', but must be a response to a preceding message with"
                " 'tool_calls'.",
                param=f"{path}.role",
            )
        if call_id not in self._ids:
            raise InvalidRequest(
                f"Invalid parameter: '{path}.tool_call_id' names no call in the 'tool_calls' of a preceding message.",
                param=f"{path}.tool_call_id",
            )


def _message(item: JsonObject, path: str, calls: _Calls) -> Message:
    role = _role(item, path)
    if role == "assistant":
        return _assistant(item, path, calls)
    content, name = text_content(item, path), optional(item, "name", as_text, path)
    if item["role"] == "function":
        name = required(item, "name", as_text, path)
        return Message(role=role, content=content or "", name=name, tool_call_id=calls.function(name))
    call_id = None
    if role == "tool":
        call_id = required(item, "tool_call_id", as_text, path)
        calls.check_answer(call_id, path)
    if content is None:
        raise missing(f"{path}.content")
    return Message(role=role, content=content, name=name, tool_call_id=call_id)


def _assistant(item: JsonObject, path: str, calls: _Calls) -> Message:
    if item.get("audio") is not None:
        raise UnsupportedParameter(
            f"Unsupported parameter: '{path}.audio' is not supported by this server; send the message's text instead.",
            param=f"{path}.audio",
        )
    optional(item, "annotations", Only(([],)), path)
    optional(item, "provider_specific_fields", _nothing_said, path)
    message = Message(
        role="assistant",
        content=text_content(item, path, refusals=True),
        name=optional(item, "name", as_text, path),
        tool_calls=_tool_calls(item, path, calls),
        reasoning_content=_reasoning(item, path),
        refusal=optional(item, "refusal", as_text, path),
    )
    if message.content is None and not message.tool_calls and message.refusal is None:
        raise missing(f"{path}.content")
    return message


def _nothing_said(value: Json, path: str) -> None:
    """litellm sends an answer back with those of its fields that litellm has no name for: nulls say nothing."""
    for key, said in as_object(value, path).items():
        if said is not None:
            raise UnsupportedParameter(
                f"Unsupported parameter: '{path}.{key}' is not supported by this server.", param=f"{path}.{key}"
            )


def _role(item: JsonObject, path: str) -> Role:
    role = required(item, "role", as_text, path)
    if role not in _ROLES:
        raise InvalidRequest(
            f"Invalid value for '{path}.role': expected one of {', '.join(_ROLES)}.", param=f"{path}.role"
        )
    return _ROLES[role]


def text_content(item: JsonObject, path: str, *, refusals: bool = False) -> str | None:
    """The text of an object's `content`, a string or parts of text; None where it is absent or null."""
    value, path = item.get("content"), f"{path}.content"
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise wrong_type(path, "a string or an array of content parts", value)
    if not value:
        raise _empty(path, "content parts")
    return "\n".join(_part(as_object(part, f"{path}[{i}]"), f"{path}[{i}]", refusals) for i, part in enumerate(value))


def _part(part: JsonObject, path: str, refusals: bool) -> str:
    kind = required(part, "type", as_text, path)
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
    return required(part, kind, as_text, path)


def _tool_calls(item: JsonObject, path: str, calls: _Calls) -> tuple[ToolCall, ...]:
    made = optional(item, "tool_calls", as_array, path) or []
    older = optional(item, "function_call", as_object, path)
    if older is None:
        read = tuple(
            _tool_call(as_object(call, f"{path}.tool_calls[{i}]"), f"{path}.tool_calls[{i}]")
            for i, call in enumerate(made)
        )
        calls.add(read)
        return read
    path = f"{path}.function_call"
    if made:
        raise InvalidRequest(f"'{path}' and 'tool_calls' exclude each other.", param=path)
    name, arguments = required(older, "name", as_text, path), required(older, "arguments", as_text, path)
    return (ToolCall(id=calls.add_function(name), name=name, arguments=arguments),)


def _tool_call(call: JsonObject, path: str) -> ToolCall:
    if required(call, "type", as_text, path) != "function":
        raise UnsupportedValue(f"Unsupported value: '{path}.type' supports only 'function'.", param=f"{path}.type")
    function = required(call, "function", as_object, path)
    return ToolCall(
        id=required(call, "id", as_text, path),
        name=required(function, "name", as_text, f"{path}.function"),
        arguments=required(function, "arguments", as_text, f"{path}.function"),
    )


def _reasoning(item: JsonObject, path: str) -> str | None:
    """Two names are in use for the same text."""
    first, second = optional(item, "reasoning_content", as_text, path), optional(item, "reasoning", as_text, path)
    if first is not None and second is not None and first != second:
        raise InvalidRequest(
            f"'{path}.reasoning_content' and '{path}.reasoning' are two names of one field: send one of them.",
            param=f"{path}.reasoning",
        )
    return second if first is None else first


def _empty(path: str, what: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid '{path}': empty array. Expected an array of {what} with at least one.", param=path, code="empty_array"
    )
