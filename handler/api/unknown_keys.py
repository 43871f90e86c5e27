"""Keys that nobody defines, wherever they hide in a request: found here, then refused or dropped. Pure.

A walk of its own, before any value is read, so that the readers need not know which of the two is asked for. What has
the wrong shape is passed over: the readers will say so.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from handler.api.fields import FIELDS, STREAM_OPTION_FIELDS
from handler.api.messages import FUNCTION_KEYS, MESSAGE_KEYS, PART_KEYS, TOOL_CALL_KEYS
from handler.api.values import Json, JsonObject
from handler.errors import UnknownParameter

_TOP = frozenset(row.name for row in FIELDS)
_STREAM_OPTIONS = frozenset(row.name for row in STREAM_OPTION_FIELDS)
UnknownFields = Literal["reject", "drop"]
_SHOWN = 80  # characters of a foreign key that an error message or a header repeats


@dataclass(frozen=True, slots=True)
class UnknownKey:
    holder: JsonObject
    key: str
    path: str


def find_unknown(body: JsonObject) -> Iterator[UnknownKey]:
    """Every key of `body` that the field table and the message shapes lack, outermost first."""
    yield from foreign_keys(body, _TOP, "")
    yield from foreign_keys(body.get("stream_options"), _STREAM_OPTIONS, "stream_options")
    for i, message in enumerate(items_of(body.get("messages"))):
        yield from _message(message, f"messages[{i}]")


def find_unknown_flat(body: JsonObject, names: AbstractSet[str]) -> Iterator[UnknownKey]:
    """The same where the endpoint's own fields hold no keys of theirs: every key but `names`, and stream options."""
    yield from foreign_keys(body, names, "")
    yield from foreign_keys(body.get("stream_options"), _STREAM_OPTIONS, "stream_options")


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
    for j, part in enumerate(items_of(message.get("content"))):
        if isinstance(part, dict):
            yield from foreign_keys(part, PART_KEYS.get(str(part.get("type"))), f"{path}.content[{j}]")
    yield from foreign_keys(message.get("function_call"), FUNCTION_KEYS, f"{path}.function_call")
    for j, call in enumerate(items_of(message.get("tool_calls"))):
        if isinstance(call, dict) and call.get("type") == "function":
            yield from foreign_keys(call, TOOL_CALL_KEYS, f"{path}.tool_calls[{j}]")
            yield from foreign_keys(call.get("function"), FUNCTION_KEYS, f"{path}.tool_calls[{j}].function")


def foreign_keys(value: Json, known: AbstractSet[str] | None, path: str) -> Iterator[UnknownKey]:
    """The keys of the object at `path` that are not `known`; none of them where `known` is None."""
    if known is None or not isinstance(value, dict):
        return
    for key in value:
        if key not in known:
            shown = key if len(key) <= _SHOWN else key[:_SHOWN] + "…"
            yield UnknownKey(value, key, f"{path}.{shown}" if path else shown)


def items_of(value: Json) -> list[Json]:
    """The items of an array; of what is none, nothing."""
    return value if isinstance(value, list) else []
