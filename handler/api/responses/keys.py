"""Keys that nobody defines, wherever they hide in a request of the Responses API. Pure."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from handler.api.responses.fields import FIELDS, NESTED_FIELDS
from handler.api.responses.text_format import FORMAT_KEYS
from handler.api.responses.tools import CHOICE_KEYS, TOOL_KEYS
from handler.api.unknown_keys import UnknownKey, foreign_keys, items_of
from handler.api.values import Json, JsonObject

# Every key that an item of the type may carry.
ITEM_KEYS: Final[Mapping[str, AbstractSet[str]]] = {
    "message": frozenset({"type", "id", "role", "content", "status", "phase"}),
    "function_call": frozenset({"type", "id", "call_id", "name", "arguments", "status", "namespace", "caller"}),
    "function_call_output": frozenset({"type", "id", "call_id", "output", "status", "name", "namespace", "caller"}),
    "reasoning": frozenset({"type", "id", "summary", "content", "encrypted_content", "status"}),
    "item_reference": frozenset({"type", "id"}),
}
PART_KEYS: Final[Mapping[str, AbstractSet[str]]] = {
    "input_text": frozenset({"type", "text", "prompt_cache_breakpoint"}),
    "output_text": frozenset({"type", "text", "annotations", "logprobs"}),
    "refusal": frozenset({"type", "refusal"}),
    "reasoning_text": frozenset({"type", "text"}),
    "summary_text": frozenset({"type", "text"}),
}
_PART_LISTS: Final = ("content", "output", "summary")
_TOP: Final = frozenset(row.name for row in FIELDS)


def find_unknown(body: JsonObject) -> Iterator[UnknownKey]:
    """Every key of `body` that the field tables and the items' shapes lack, outermost first."""
    yield from foreign_keys(body, _TOP, "")
    for parent, rows in NESTED_FIELDS.items():
        yield from foreign_keys(body.get(parent), frozenset(row.name for row in rows), parent)
    yield from _text_format(body.get("text"))
    for i, tool in enumerate(items_of(body.get("tools"))):
        if isinstance(tool, dict) and tool.get("type") == "function":
            yield from foreign_keys(tool, TOOL_KEYS, f"tools[{i}]")
    yield from _choice(body.get("tool_choice"), "tool_choice")
    for i, item in enumerate(items_of(body.get("input"))):
        yield from _item(item, f"input[{i}]")


def _text_format(text: Json) -> Iterator[UnknownKey]:
    if isinstance(text, dict) and isinstance(shape := text.get("format"), dict):
        yield from foreign_keys(shape, FORMAT_KEYS.get(str(shape.get("type"))), "text.format")


def _choice(choice: Json, path: str) -> Iterator[UnknownKey]:
    if not isinstance(choice, dict):
        return
    yield from foreign_keys(choice, CHOICE_KEYS.get(str(choice.get("type"))), path)
    for i, tool in enumerate(items_of(choice.get("tools"))):
        yield from _choice(tool, f"{path}.tools[{i}]")


def _item(item: Json, path: str) -> Iterator[UnknownKey]:
    if not isinstance(item, dict):
        return
    kind = item.get("type") or ("item_reference" if "role" not in item and "id" in item else "message")
    yield from foreign_keys(item, ITEM_KEYS.get(str(kind)), path)
    for key in _PART_LISTS:
        for j, part in enumerate(items_of(item.get(key))):
            if isinstance(part, dict):
                yield from foreign_keys(part, PART_KEYS.get(str(part.get("type"))), f"{path}.{key}[{j}]")
