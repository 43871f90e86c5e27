"""Readers of arrays and maps, made of the readers of values. Pure."""

from handler.api.values import Integer, Json, Number, Text, as_array, as_object, as_text, wrong_type
from handler.errors import InvalidRequest
from handler.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Integers:
    """An array of integers."""

    each: Integer

    @property
    def summary(self) -> str:
        return f"array of {self.each.summary}"

    def __call__(self, value: Json, path: str) -> tuple[int, ...]:
        return tuple(self.each(item, f"{path}[{i}]") for i, item in enumerate(as_array(value, path)))


@dataclass(frozen=True, slots=True)
class Stops:
    """A string or an array of strings; empty strings mean none. Each one costs time at every token."""

    max_items: int = 256

    @property
    def summary(self) -> str:
        return f"string or array of at most {self.max_items} strings"

    def __call__(self, value: Json, path: str) -> tuple[str, ...]:
        if isinstance(value, str):
            return (value,) if value else ()
        if not isinstance(value, list):
            raise wrong_type(path, "a string or an array of strings", value)
        if len(value) > self.max_items:
            raise InvalidRequest(
                f"Invalid '{path}': at most {self.max_items} strings are allowed, but got {len(value)}.", param=path
            )
        return tuple(text for i, item in enumerate(value) if (text := as_text(item, f"{path}[{i}]")))


@dataclass(frozen=True, slots=True)
class TokenBias:
    """A map of token ids, which JSON can only write as strings, to numbers."""

    each: Number

    @property
    def summary(self) -> str:
        return f"map of token ids to {self.each.summary}"

    def __call__(self, value: Json, path: str) -> dict[int, float]:
        bias: dict[int, float] = {}
        for key, item in as_object(value, path).items():
            # Two spellings of one id ("7", "007") would be two values of one field.
            if not (key.isascii() and key.isdigit() and len(key) <= 9 and str(int(key)) == key):
                raise InvalidRequest(f"Invalid '{path}': every key must be a token id.", param=path)
            bias[int(key)] = self.each(item, f"{path}.{key}")
        return bias


@dataclass(frozen=True, slots=True)
class TextMap:
    """A map of strings to strings."""

    max_items: int
    max_key: int
    max_value: int

    @property
    def summary(self) -> str:
        return (
            f"map of at most {self.max_items} strings"
            f" (keys of at most {self.max_key} characters, values {self.max_value})"
        )

    def __call__(self, value: Json, path: str) -> dict[str, str]:
        items = as_object(value, path)
        if len(items) > self.max_items or any(len(key) > self.max_key for key in items):
            raise InvalidRequest(f"Invalid '{path}': expected a {self.summary}.", param=path)
        each = Text(self.max_value)
        return {key: each(item, f"{path}.{key}") for key, item in items.items()}
