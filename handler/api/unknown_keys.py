"""Keys that nobody defines, wherever they hide in a request: found here, then refused or dropped. Pure.

A walk of its own, before any value is read, so that the readers need not know which of the two is asked for. What has
the wrong shape is passed over: the readers will say so.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Literal
from urllib.parse import quote

from handler.api import tools
from handler.api.fields import FIELDS, STREAM_OPTION_FIELDS, STRUCTURED_OUTPUT_FIELDS
from handler.api.formats import JSON_SCHEMA_KEYS
from handler.api.messages import FUNCTION_KEYS, MESSAGE_KEYS, PART_KEYS, TOOL_CALL_KEYS
from handler.api.prediction import PREDICTION_KEYS
from handler.api.values import Json, JsonObject
from handler.errors import UnknownParameter
from handler.frozen import dataclass

_TOP = frozenset(row.name for row in FIELDS)
_STRUCTURED_OUTPUTS = frozenset(row.name for row in STRUCTURED_OUTPUT_FIELDS)
_STREAM_OPTIONS = frozenset(row.name for row in STREAM_OPTION_FIELDS)
UnknownFields = Literal["reject", "drop"]
_SHOWN = 80  # characters of a foreign key that an error message or a header repeats


@dataclass(frozen=True, slots=True)
class UnknownKey:
    holder: JsonObject
    key: str
    path: str


def find_unknown(body: JsonObject, names: AbstractSet[str] = _TOP) -> Iterator[UnknownKey]:
    """Every key of `body` that the field table (`names`) and the shapes below it lack, outermost first."""
    yield from foreign_keys(body, names, "")
    yield from foreign_keys(body.get("stream_options"), _STREAM_OPTIONS, "stream_options")
    yield from foreign_keys(body.get("structured_outputs"), _STRUCTURED_OUTPUTS, "structured_outputs")
    yield from _tools(body)
    yield from _response_format(body.get("response_format"))
    yield from _prediction(body.get("prediction"))
    for i, message in enumerate(items_of(body.get("messages"))):
        yield from _message(message, f"messages[{i}]")


def settle_unknown(unknown: Iterator[UnknownKey], policy: UnknownFields) -> tuple[str, ...]:
    """Raises UnknownParameter for the first unknown key; or, to `drop`, deletes them all from the request and returns
    their paths, percent-encoded where a header could not hold them."""
    found = list(unknown)
    for item in found:
        if policy == "reject":
            raise UnknownParameter(f"Unknown parameter: '{item.path}'.", param=item.path)
        del item.holder[item.key]
    return tuple(quote(item.path, safe="[]") for item in found)


def _message(message: Json, path: str) -> Iterator[UnknownKey]:
    if not isinstance(message, dict):
        return
    yield from foreign_keys(message, MESSAGE_KEYS.get(str(message.get("role"))), path)
    yield from _parts(message.get("content"), f"{path}.content")
    yield from foreign_keys(message.get("function_call"), FUNCTION_KEYS, f"{path}.function_call")
    for j, call in enumerate(items_of(message.get("tool_calls"))):
        if isinstance(call, dict) and call.get("type") == "function":
            yield from foreign_keys(call, TOOL_CALL_KEYS, f"{path}.tool_calls[{j}]")
            yield from foreign_keys(call.get("function"), FUNCTION_KEYS, f"{path}.tool_calls[{j}].function")


def _prediction(value: Json) -> Iterator[UnknownKey]:
    if isinstance(value, dict) and value.get("type") == "content":
        yield from foreign_keys(value, PREDICTION_KEYS, "prediction")
        yield from _parts(value.get("content"), "prediction.content")


def _parts(value: Json, path: str) -> Iterator[UnknownKey]:
    for i, part in enumerate(items_of(value)):
        if isinstance(part, dict):
            yield from foreign_keys(part, PART_KEYS.get(str(part.get("type"))), f"{path}[{i}]")


def _tools(body: JsonObject) -> Iterator[UnknownKey]:
    for i, tool in enumerate(items_of(body.get("tools"))):
        yield from _typed(tool, "function", tools.FUNCTION_KEYS, f"tools[{i}]")
    for i, function in enumerate(items_of(body.get("functions"))):
        yield from foreign_keys(function, tools.LEGACY_FUNCTION_KEYS, f"functions[{i}]")
    yield from _typed(body.get("tool_choice"), "function", tools.NAME_KEYS, "tool_choice")
    yield from _typed(body.get("tool_choice"), "allowed_tools", tools.ALLOWED_KEYS, "tool_choice")
    yield from foreign_keys(body.get("function_call"), tools.NAME_KEYS, "function_call")


def _response_format(value: Json) -> Iterator[UnknownKey]:
    yield from _typed(value, "json_schema", JSON_SCHEMA_KEYS, "response_format")
    if isinstance(value, dict) and value.get("type") in ("text", "json_object"):
        yield from foreign_keys(value, frozenset({"type"}), "response_format")


def _typed(value: Json, kind: str, known: AbstractSet[str], path: str) -> Iterator[UnknownKey]:
    """Of an object whose `type` names its only other key: both objects' foreign keys."""
    if isinstance(value, dict) and value.get("type") == kind:
        yield from foreign_keys(value, {"type", kind}, path)
        yield from foreign_keys(value.get(kind), known, f"{path}.{kind}")


def foreign_keys(value: Json, known: AbstractSet[str] | None, path: str) -> Iterator[UnknownKey]:
    """The keys of the object at `path` that are not `known`, and not null, which means absent; none of them where
    `known` is None."""
    if known is None or not isinstance(value, dict):
        return
    for key, item in value.items():
        if key not in known and item is not None:
            shown = key if len(key) <= _SHOWN else key[:_SHOWN] + "…"
            yield UnknownKey(value, key, f"{path}.{shown}" if path else shown)


def items_of(value: Json) -> list[Json]:
    """The items of an array; of what is none, nothing."""
    return value if isinstance(value, list) else []
