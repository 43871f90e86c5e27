"""Readers: a JSON value in, a typed value out, or an InvalidRequest that names the field and what is allowed. Pure.

Strict: a string is never a number, a boolean is never a number, a number is never rounded to an integer. `summary` is
the reader's own documentation, from which the README's matrix is made. Codes and wording follow OpenAI's.
"""

import json
import re
from collections.abc import Callable
from typing import Protocol, TypeAlias, TypeVar

from handler.errors import InvalidRequest, UnsupportedParameter, UnsupportedValue
from handler.frozen import dataclass

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, "Json"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


MAX_NAME = 64  # characters
_NAME = re.compile("[a-zA-Z0-9_-]+")


class Reader(Protocol[T_co]):
    """Reads one JSON value that is not null."""

    @property
    def summary(self) -> str: ...

    def __call__(self, value: Json, path: str) -> T_co: ...


def kind(value: Json) -> str:
    """The name of a JSON value's type, as error messages say it."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal"
        case str():
            return "a string"
        case list():
            return "an array"
        case dict():
            return "an object"


def wrong_type(path: str, expected: str, value: Json) -> InvalidRequest:
    """The error for a value of another JSON type; tells the type, never the value."""
    return InvalidRequest(
        f"Invalid type for '{path}': expected {expected}, but got {kind(value)} instead.",
        param=path,
        code="invalid_type",
    )


def missing(path: str) -> InvalidRequest:
    return InvalidRequest(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")


def as_object(value: Json, path: str) -> JsonObject:
    if not isinstance(value, dict):
        raise wrong_type(path, "an object", value)
    return value


def as_array(value: Json, path: str) -> list[Json]:
    if not isinstance(value, list):
        raise wrong_type(path, "an array", value)
    return value


def as_text(value: Json, path: str) -> str:
    if not isinstance(value, str):
        raise wrong_type(path, "a string", value)
    return value


def optional(item: JsonObject, key: str, reader: Callable[[Json, str], T], path: str) -> T | None:
    """What `reader` makes of a key of the object at `path`; None where it is absent or null."""
    value = item.get(key)
    return None if value is None else reader(value, f"{path}.{key}")


def required(item: JsonObject, key: str, reader: Callable[[Json, str], T], path: str) -> T:
    """The same for a key that must be there."""
    value = item.get(key)
    if value is None:
        raise missing(f"{path}.{key}")
    return reader(value, f"{path}.{key}")


@dataclass(frozen=True, slots=True)
class Boolean:
    summary: str = "boolean"

    def __call__(self, value: Json, path: str) -> bool:
        if not isinstance(value, bool):
            raise wrong_type(path, "a boolean", value)
        return value


@dataclass(frozen=True, slots=True)
class Text:
    max_length: int | None = None

    @property
    def summary(self) -> str:
        return "string" if self.max_length is None else f"string of at most {self.max_length} characters"

    def __call__(self, value: Json, path: str) -> str:
        text = as_text(value, path)
        if self.max_length is not None and len(text) > self.max_length:
            raise InvalidRequest(
                f"Invalid '{path}': string too long. Expected a string with maximum length {self.max_length}, but got"
                f" a string with length {len(text)} instead.",
                param=path,
                code="string_above_max_length",
            )
        return text


@dataclass(frozen=True, slots=True)
class Name:
    """A name as OpenAI allows it for functions and response formats."""

    summary: str = f"string of 1 to {MAX_NAME} of a-z, A-Z, 0-9, _ and -"

    def __call__(self, value: Json, path: str) -> str:
        name = Text(MAX_NAME)(value, path)
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern"
                f" '^{_NAME.pattern}$'.",
                param=path,
            )
        return name


@dataclass(frozen=True, slots=True)
class Integer:
    minimum: int
    maximum: int

    @property
    def summary(self) -> str:
        return f"integer {_bounds(self.minimum, self.maximum)}"

    def __call__(self, value: Json, path: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(path, "an integer", value)
        _check_bounds("integer", value, self.minimum, self.maximum, path)
        return value


@dataclass(frozen=True, slots=True)
class Number:
    minimum: float
    maximum: float

    @property
    def summary(self) -> str:
        return f"number {_bounds(self.minimum, self.maximum)}"

    def __call__(self, value: Json, path: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(path, "a decimal", value)
        _check_bounds("decimal", value, self.minimum, self.maximum, path)
        return float(value)


@dataclass(frozen=True, slots=True)
class OneOf:
    """A string of a closed set."""

    values: tuple[str, ...]

    @property
    def summary(self) -> str:
        return " or ".join(f'"{value}"' for value in self.values)

    def __call__(self, value: Json, path: str) -> str:
        if as_text(value, path) not in self.values:
            raise UnsupportedValue(f"Unsupported value for '{path}': expected {self.summary}.", param=path)
        return as_text(value, path)


@dataclass(frozen=True, slots=True)
class Only:
    """Nothing but these values: the documented defaults of a field that this server cannot honour otherwise."""

    values: tuple[Json, ...] = ()

    @property
    def summary(self) -> str:
        return "only " + " or ".join(json.dumps(value) for value in self.values) if self.values else "nothing"

    def __call__(self, value: Json, path: str) -> None:
        if not self.values:
            raise UnsupportedParameter(f"Unsupported parameter: '{path}' is not supported by this server.", param=path)
        # By their JSON text: in Python, true equals 1 and 1 equals 1.0.
        if json.dumps(value, sort_keys=True) not in {json.dumps(known, sort_keys=True) for known in self.values}:
            raise UnsupportedValue(f"Unsupported value: '{path}' supports {self.summary} on this server.", param=path)


@dataclass(frozen=True, slots=True)
class AnyObject:
    """An object whose content is somebody else's to read."""

    summary: str = "object"

    def __call__(self, value: Json, path: str) -> JsonObject:
        return as_object(value, path)


def _show(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _bounds(minimum: float, maximum: float) -> str:
    return f"{_show(minimum)} to {_show(maximum)}"


def _check_bounds(word: str, value: float, minimum: float, maximum: float, path: str) -> None:
    # The JSON reader lets no NaN and no infinity through, so a comparison always tells.
    if value < minimum:
        limit, side = f">= {_show(minimum)}", "below_min"
    elif value > maximum:
        limit, side = f"<= {_show(maximum)}", "above_max"
    else:
        return
    words = "below minimum" if side == "below_min" else "above maximum"
    raise InvalidRequest(
        f"Invalid '{path}': {word} {words} value. Expected a value {limit}, but got {_show(value)} instead.",
        param=path,
        code=f"{word}_{side}_value",
    )
