"""`tools` and `tool_choice` in the flat form of the Responses API: JSON in, typed values out. Pure.

Function tools only: custom tools and those of OpenAI's own servers are refused by name. Unknown keys are `keys`'
business, not ours.
"""

from typing import Final

from handler.api.tools import MAX_TOOLS, check_type, read_allowed, read_function, tool_objects
from handler.api.values import Json, JsonObject, Only, as_text, optional, required, wrong_type
from handler.chat.tools import NamedTool, Tool, ToolChoice
from handler.errors import InvalidRequest

# Every key that the shapes may carry; within `parameters`, any.
TOOL_KEYS: Final = frozenset(
    {"type", "name", "description", "parameters", "strict", "output_schema", "defer_loading", "allowed_callers"}
)
CHOICE_KEYS: Final = {"function": frozenset({"type", "name"}), "allowed_tools": frozenset({"type", "mode", "tools"})}

_REFUSED: Final = {"output_schema": Only(), "defer_loading": Only((False,)), "allowed_callers": Only((["direct"],))}


class Tools:
    """Reads `tools`."""

    summary = f"array of at most {MAX_TOOLS} tools of type function"

    def __call__(self, value: Json, path: str) -> tuple[Tool, ...]:
        return tuple(_tool(item, f"{path}[{i}]") for i, item in enumerate(tool_objects(value, path)))


class Choice:
    """Reads `tool_choice`."""

    summary = '"none", "auto", "required", a named function or allowed_tools'

    def __call__(self, value: Json, path: str) -> ToolChoice:
        match value:
            case "none" | "auto" | "required":
                return value
            case str():
                raise InvalidRequest(f"Invalid value for '{path}': expected {self.summary}.", param=path)
            case dict() as item if item.get("type") == "allowed_tools":
                return read_allowed(item, path, _function_name)
            case dict() as item:
                return NamedTool(name=_function_name(item, path))
        raise wrong_type(path, "a string or an object", value)


def repeated_tool(item: JsonObject) -> JsonObject:
    """A tool as a Response repeats it."""
    return {
        "type": "function",
        "name": item["name"],
        "description": item.get("description"),
        "parameters": item.get("parameters"),
        "strict": item.get("strict") or False,
    }


def _tool(item: JsonObject, path: str) -> Tool:
    check_type(item, path)
    for key, reader in _REFUSED.items():
        optional(item, key, reader, path)
    return read_function(item, path)


def _function_name(item: JsonObject, path: str) -> str:
    check_type(item, path)
    return required(item, "name", as_text, path)
