"""`tools`, `tool_choice` and their older forms `functions`, `function_call`: JSON in, typed values out. Pure.

Function tools only: custom and hosted ones are refused by name. A function's `parameters` stay JSON here: whether the
grammar can enforce them is for the chat service to say. Unknown keys are `unknown_keys`' business, not ours.
"""

from collections.abc import Callable
from typing import Final

from handler.api.values import (
    Boolean,
    Json,
    JsonObject,
    Name,
    as_array,
    as_object,
    as_text,
    optional,
    required,
    wrong_type,
)
from handler.chat.tools import AllowedTools, NamedTool, Tool, ToolChoice
from handler.errors import InvalidRequest, UnsupportedValue

# Every key that the shapes may carry; within `parameters`, any.
FUNCTION_KEYS: Final = frozenset({"name", "description", "parameters", "strict"})
LEGACY_FUNCTION_KEYS: Final = frozenset({"name", "description", "parameters"})
ALLOWED_KEYS: Final = frozenset({"mode", "tools"})
NAME_KEYS: Final = frozenset({"name"})

MAX_TOOLS: Final = 128  # OpenAI's bound


class Tools:
    """Reads `tools`."""

    summary = f"array of at most {MAX_TOOLS} tools of type function"

    def __call__(self, value: Json, path: str) -> tuple[Tool, ...]:
        return tuple(
            read_function(_function(item, f"{path}[{i}]"), f"{path}[{i}].function")
            for i, item in enumerate(tool_objects(value, path))
        )


class Functions:
    """Reads `functions`, the older form of tools."""

    summary = f"array of at most {MAX_TOOLS} functions"

    def __call__(self, value: Json, path: str) -> tuple[Tool, ...]:
        return tuple(read_function(item, f"{path}[{i}]") for i, item in enumerate(tool_objects(value, path)))


class ToolChoiceReader:
    """Reads `tool_choice`."""

    summary = '"none", "auto", "required", a named function or allowed_tools'

    def __call__(self, value: Json, path: str) -> ToolChoice:
        match value:
            case "none" | "auto" | "required":
                return value
            case str():
                raise InvalidRequest(f"Invalid value for '{path}': expected {self.summary}.", param=path)
            case dict() as item if item.get("type") == "allowed_tools":
                return read_allowed(
                    required(item, "allowed_tools", as_object, path), f"{path}.allowed_tools", _function_name
                )
            case dict() as item:
                return NamedTool(name=_function_name(item, path))
        raise wrong_type(path, "a string or an object", value)


class FunctionCallReader:
    """Reads `function_call`, the older form of tool_choice."""

    summary = '"none", "auto" or a named function'

    def __call__(self, value: Json, path: str) -> ToolChoice:
        match value:
            case "none" | "auto":
                return value
            case str():
                raise InvalidRequest(f"Invalid value for '{path}': expected {self.summary}.", param=path)
            case dict() as item:
                return NamedTool(name=required(item, "name", as_text, path))
        raise wrong_type(path, "a string or an object", value)


def read_function(item: JsonObject, path: str) -> Tool:
    """A function's definition. Raises InvalidRequest."""
    name = required(item, "name", Name(), path)
    parameters = optional(item, "parameters", as_object, path)
    if parameters is not None and parameters.get("type", "object") != "object":
        raise InvalidRequest(
            f"Invalid schema for function '{name}': arguments are an object, so the schema's type must be \"object\".",
            param=f"{path}.parameters.type",
            code="invalid_function_parameters",
        )
    return Tool(
        name=name,
        description=optional(item, "description", as_text, path),
        parameters=parameters,
        strict=optional(item, "strict", Boolean(), path) or False,
    )


def read_allowed(item: JsonObject, path: str, function_name: Callable[[JsonObject, str], str]) -> AllowedTools:
    """The object with `mode` and `tools`, each of which `function_name` reads at its path. Raises InvalidRequest."""
    match required(item, "mode", as_text, path):
        case "auto" | "required" as mode:
            pass
        case _:
            raise InvalidRequest(
                f'Invalid value for \'{path}.mode\': expected "auto" or "required".', param=f"{path}.mode"
            )
    tools, path = required(item, "tools", tool_objects, path), f"{path}.tools"
    if not tools:
        raise InvalidRequest(
            f"Invalid '{path}': empty array. Expected at least one tool.", param=path, code="empty_array"
        )
    return AllowedTools(mode=mode, names=tuple(function_name(tool, f"{path}[{i}]") for i, tool in enumerate(tools)))


def _function_name(item: JsonObject, path: str) -> str:
    return required(_function(item, path), "name", as_text, f"{path}.function")


def _function(item: JsonObject, path: str) -> JsonObject:
    check_type(item, path)
    return required(item, "function", as_object, path)


def check_type(item: JsonObject, path: str) -> None:
    """Raises UnsupportedValue for a tool that is no function."""
    if required(item, "type", as_text, path) != "function":
        raise UnsupportedValue(
            f"Unsupported value: '{path}.type' supports only 'function' here; there are no custom and no hosted tools.",
            param=f"{path}.type",
        )


def tool_objects(value: Json, path: str) -> list[JsonObject]:
    items = as_array(value, path)
    if len(items) > MAX_TOOLS:
        raise InvalidRequest(
            f"Invalid '{path}': array too long. Expected an array with maximum length {MAX_TOOLS}, but got an array"
            f" with length {len(items)} instead.",
            param=path,
            code="array_above_max_length",
        )
    return [as_object(item, f"{path}[{i}]") for i, item in enumerate(items)]
