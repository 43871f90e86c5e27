"""Which JSON schemas can be enforced while a text is generated: the keywords of this file, and no others. Pure.

What the grammar engine would skip or approximate is refused here, by keyword and by its place in the schema: a keyword
that nobody knows, one that the engine lacks (`uniqueItems`, `not`, `if`), and the few that it has but reads in another
way than validators do. What remains is handed on, without annotations and without options for the engine itself.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, TypeGuard

from handler.engine.json_formats import ENGINE_FORMATS, PATTERNS
from handler.engine.regex_size import MAX_EXPANDED, expanded_size
from handler.errors import InvalidRequest, UnsupportedValue
from handler.frozen import dataclass

JSON_STYLE: Mapping[str, object] = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "json_allowed_escapes": 'nrbtf\\"',
}
"""How JSON is written: as Python's json.dumps and the templates' `tojson` do, so as models have seen it. There is no
white space to get lost in, and more of the text is forced. The escape \\uXXXX is left out: through it a key could be
spelled anew, past the rules for that key."""

_Checked = dict[str, Any]  # keywords, each with a value of its own type
_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
_ANNOTATIONS = {
    *("$comment", "$schema", "$id", "id", "$anchor", "$defs", "definitions", "title", "description", "default"),
    *("example", "examples", "deprecated", "readOnly", "writeOnly", "contentMediaType", "contentEncoding"),
    "discriminator",
}
# What these leave over is the other keyword's: without them it would forbid what they allow.
_REMAINDER = {"properties": "additionalProperties", "patternProperties": "additionalProperties",
              "prefixItems": "items", "items": "additionalItems"}  # fmt: skip
# Keywords that are not enforced, at the value at which they ask for nothing.
_WITHOUT_EFFECT = {"uniqueItems": False, "nullable": False, "unevaluatedProperties": True, "unevaluatedItems": True}
_EXACT = 2**53  # integers below are numbers of their own for every reader of JSON
_MAX_COUNT = 2**31 - 1  # no text gets that long
_MAX_DEPTH = 50
_MAX_REFERENCES = 1_000  # different ones; following each of a chain of n takes n² steps
_MAX_OPTIONAL = 400  # optional properties of one object; the engine follows at most 2,000 possibilities at once
_MAX_PATTERN = 2_000  # characters
# An escape; or the beginning or the end of a class. Enough to tell `\W` and a `\w` in a negated class.
_REGEX_PIECE = re.compile(r"\\.|\[\^?|\]", re.DOTALL)


_CONTROL = re.compile(r"[\x00-\x07\x0b\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class SchemaPart:
    """A schema within the schema: where it stands, as a JSON pointer, and what is enforced of it."""

    pointer: str
    schema: dict[str, object]


@dataclass(frozen=True, slots=True)
class CheckedSchema:
    """`schema` is what the engine gets; `definitions` its `$defs`; `parts` all schemas in it, inner ones first."""

    schema: Mapping[str, object]
    definitions: Mapping[str, object]
    parts: tuple[SchemaPart, ...]

    def complete(self, schema: Mapping[str, object] | None = None) -> dict[str, object]:
        """The whole, or one of its parts, as a schema that stands alone; in `JSON_STYLE`."""
        return {**(self.schema if schema is None else schema), "$defs": self.definitions, "x-guidance": JSON_STYLE}


def check_schema(schema: Mapping[str, object] | bool, *, param: str, lenient: bool = False) -> CheckedSchema:
    """All that is enforced of the schema, if that is everything it says. `lenient`: without what cannot be enforced.

    Raises InvalidRequest for what is no JSON schema, UnsupportedValue for what cannot be enforced. Both name the
    keyword and its place, and `param` as the field.
    """
    checker = _Checker(schema, param, lenient)
    checked = checker.check(schema, "#", 0)
    if not isinstance(checked, dict):  # `true` allows everything, `false` nothing
        checked = {"anyOf": [checked]}
    parts = checker.parts
    while checker.pending:
        name, target, at = checker.pending.pop()
        checker.parts = []
        checker.definitions[name] = checker.check(target, at, 0)
        parts = checker.parts + parts
    return CheckedSchema(checked, checker.definitions, tuple(parts))


def without(schema: Mapping[str, Any], keyword: str) -> dict[str, Any]:
    """A schema that allows more: all of it but the keyword, and what only makes sense beside it."""
    return {name: value for name, value in schema.items() if name not in (keyword, _REMAINDER.get(keyword))}


class _Checker:
    def __init__(self, root: object, param: str, lenient: bool) -> None:
        self.definitions: dict[str, object] = {}
        self.parts: list[SchemaPart] = []
        self.pending: list[tuple[str, object, str]] = []  # definitions to be checked: name, schema, place
        self._root = root
        self._param = param
        self._lenient = lenient
        self._names: dict[str, str] = {}  # of definitions, by the pointer that refers to them
        self._anchors: dict[str, list[Mapping[str, object]]] | None = None  # schemas by their $anchor, once asked for
        draft = root.get("$schema") if isinstance(root, Mapping) else None
        self._old = isinstance(draft, str) and re.search(r"draft-0[3467]|2019-09", draft) is not None

    def check(self, schema: object, at: str, depth: int) -> _Checked | bool:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping):
            self._invalid(at, None, "a schema has to be an object or a boolean")
        if depth > _MAX_DEPTH:
            self._unsupported(at, None, f"it is nested more than {_MAX_DEPTH} schemas deep")
        checked: _Checked = {}
        given_up: list[str] = []
        for keyword, value in schema.items():
            try:
                self._add(checked, keyword, value, at, depth)
            except UnsupportedValue:
                if not self._lenient:
                    raise
                given_up.append(keyword)
        for keyword in given_up:
            checked = without(checked, keyword)
        self._check_object(checked, at)
        self.parts.append(SchemaPart(at, checked))
        return checked

    def _add(self, checked: _Checked, keyword: str, value: object, at: str, depth: int) -> None:
        if keyword in ("$id", "id") and at != "#" and not str(value).startswith("#"):
            self._unsupported(at, keyword, "a schema within the schema has no base URI of its own here")
        if keyword in _ANNOTATIONS or (keyword.startswith("x-") and keyword != "x-guidance"):
            return
        if keyword in _WITHOUT_EFFECT and value == _WITHOUT_EFFECT[keyword]:
            return
        if keyword == "format" and isinstance(value, str) and value in PATTERNS:
            self._add_pattern(checked, PATTERNS[value])
            return
        check = _KEYWORDS.get(keyword)
        if check is None:
            self._unsupported(at, keyword, "not a keyword that can be enforced while the text is generated")
        allowed = check(self, value, at, keyword, depth)
        if keyword == "pattern":
            self._add_pattern(checked, allowed)
        elif keyword == "allOf":
            checked["allOf"] = [*checked.get("allOf", []), *allowed]
        else:
            checked[keyword] = allowed

    def _add_pattern(self, checked: _Checked, pattern: str) -> None:
        if "pattern" in checked:
            checked["allOf"] = [*checked.get("allOf", []), {"pattern": pattern}]
        else:
            checked["pattern"] = pattern

    def _check_object(self, checked: _Checked, at: str) -> None:
        required = set(checked.get("required", []))
        # A key that is not named in the schema can be generated twice, and is one property for whoever reads it.
        if checked.get("minProperties", 0) > len(required) + 1:
            if not self._lenient:
                self._unsupported(at, "minProperties", "more than one property beyond the required ones")
            checked.pop("minProperties")
        if len(checked.get("properties", {}).keys() - required) > _MAX_OPTIONAL:
            if not self._lenient:
                self._unsupported(at, "properties", f"more than {_MAX_OPTIONAL} optional properties")
            checked.pop("properties")
            checked.pop("additionalProperties", None)

    # One method for each kind of value: (value, place of the schema, keyword, depth) → what the engine gets.

    def schema(self, value: object, at: str, keyword: str, depth: int) -> object:
        return self.check(value, f"{at}/{keyword}", depth + 1)

    def schemas(self, value: object, at: str, keyword: str, depth: int) -> object:
        if not isinstance(value, list) or not value:
            self._invalid(at, keyword, "a list of schemas is needed, not an empty one")
        return [self.check(item, f"{at}/{keyword}/{i}", depth + 1) for i, item in enumerate(value)]

    def named_schemas(self, value: object, at: str, keyword: str, depth: int) -> object:
        if not isinstance(value, Mapping):
            self._invalid(at, keyword, "an object of schemas is needed")
        if keyword == "patternProperties":
            for pattern in value:
                self.pattern(pattern, at, keyword, depth)
        return {
            name: self.check(item, f"{at}/{keyword}/{_escaped(self.text(name, at, keyword, depth))}", depth + 1)
            for name, item in value.items()
        }

    def items(self, value: object, at: str, keyword: str, depth: int) -> object:
        if not isinstance(value, list):
            return self.schema(value, at, keyword, depth)
        if not self._old:
            self._invalid(at, keyword, 'a list is what older drafts take: name one in "$schema", or use prefixItems')
        return self.schemas(value, at, keyword, depth) if value else []

    def only_old(self, value: object, at: str, keyword: str, depth: int) -> object:
        if not self._old:
            self._unsupported(at, keyword, 'it belongs to older drafts: name one in "$schema"')
        return self.schema(value, at, keyword, depth)

    def only_new(self, value: object, at: str, keyword: str, depth: int) -> object:
        if self._old:
            self._unsupported(at, keyword, 'the draft that "$schema" names does not have it')
        return self.schemas(value, at, keyword, depth)

    def reference(self, value: object, at: str, keyword: str, _depth: int) -> object:
        if not isinstance(value, str) or not value.startswith("#"):
            self._unsupported(at, keyword, "only references within the schema (#…) are followed")
        if value not in self._names:
            if len(self._names) == _MAX_REFERENCES:
                self._unsupported(at, keyword, f"more than {_MAX_REFERENCES} different references")
            target = self._resolve(value, at)
            followed = {value}
            while isinstance(target, Mapping) and isinstance(further := target.get("$ref"), str):
                if further in followed:
                    self._unsupported(at, keyword, f"{further} leads to itself and to nothing else")
                if not further.startswith("#"):
                    break
                if len(followed) > _MAX_REFERENCES:
                    self._unsupported(at, keyword, f"{value} leads from reference to reference without an end")
                followed.add(further)
                target = self._resolve(further, at)
            self._names[value] = name = f"d{len(self._names)}"
            self.pending.append((name, self._resolve(value, at), value))
        return f"#/$defs/{self._names[value]}"

    def types(self, value: object, at: str, keyword: str, _depth: int) -> object:
        names = value if isinstance(value, list) else [value]
        if not names or any(name not in _TYPES for name in names):
            self._invalid(at, keyword, f"one of {', '.join(_TYPES)}, or a list of them, is needed")
        return value

    def values(self, value: object, at: str, keyword: str, depth: int) -> object:
        if not isinstance(value, list) or not value:
            self._invalid(at, keyword, "a list of values is needed, not an empty one")
        return [self.value(item, at, keyword, depth) for item in value]

    def value(self, value: object, at: str, keyword: str, _depth: int) -> object:
        for number in _leaves(value):
            if isinstance(number, float) and not math.isfinite(number):
                self._invalid(at, keyword, "numbers have to be finite")
            if not _is_number(number):
                continue
            if abs(number) >= _EXACT or 0 < abs(number) < 1e-6:
                self._unsupported(at, keyword, "numbers from 2⁵³ and those closer to 0 than 1e-6 are not exact")
        if any(isinstance(text, str) and _CONTROL.search(text) for text in _leaves(value)):
            self._unsupported(at, keyword, "control characters that only \\uXXXX could spell are not written")
        self._check_text(value, at, keyword)
        return value

    def count(self, value: object, at: str, keyword: str, _depth: int) -> object:
        if not _is_number(value) or value < 0 or value % 1:
            self._invalid(at, keyword, "a whole number from 0 is needed")
        if value > _MAX_COUNT:
            self._unsupported(at, keyword, f"only counts up to {_MAX_COUNT} are enforced")
        return int(value)

    def bound(self, value: object, at: str, keyword: str, _depth: int) -> object:
        if isinstance(value, bool) and self._old and keyword.startswith("exclusive"):
            return value
        if not _is_number(value):
            self._invalid(at, keyword, "a number is needed")
        if abs(value) >= _EXACT:
            self._unsupported(at, keyword, "numbers from 2⁵³ are not exact")
        return value

    def multiple(self, value: object, at: str, keyword: str, _depth: int) -> object:
        if not _is_number(value) or value <= 0:
            self._invalid(at, keyword, "a number above 0 is needed")
        if value >= 2**31 or value * 2**10 != int(value * 2**10):
            self._unsupported(
                at,
                keyword,
                "validators, which divide binary fractions, agree only on whole numbers"
                " and halves, quarters, … of them",
            )
        return value

    def required(self, value: object, at: str, keyword: str, depth: int) -> object:
        if not isinstance(value, list):
            self._invalid(at, keyword, "a list of names is needed")
        return [self.text(name, at, keyword, depth) for name in value]

    def text(self, value: object, at: str, keyword: str, _depth: int) -> str:
        if not isinstance(value, str):
            self._invalid(at, keyword, "a string is needed")
        self._check_text(value, at, keyword)
        return value

    def format(self, value: object, at: str, keyword: str, depth: int) -> object:
        name = self.text(value, at, keyword, depth)
        if name not in ENGINE_FORMATS:
            known = ", ".join(sorted({*ENGINE_FORMATS, *PATTERNS}))
            self._unsupported(at, keyword, f"{name!r} is not among the formats that can be enforced: {known}")
        return name

    def pattern(self, value: object, at: str, keyword: str, depth: int) -> str:
        pattern = self.text(value, at, keyword, depth)
        if len(pattern) > _MAX_PATTERN:
            self._unsupported(at, keyword, f"a pattern of more than {_MAX_PATTERN} characters")
        if expanded_size(pattern) > MAX_EXPANDED:
            self._unsupported(at, keyword, f"more than {MAX_EXPANDED} characters with its repetitions written out")
        negated = False
        for piece in _REGEX_PIECE.findall(pattern):
            if piece in (r"\W", r"\D") or (negated and piece in (r"\w", r"\d")):
                self._unsupported(at, keyword, f"validators do not agree on what {piece} leaves out: list characters")
            if not piece.startswith("\\"):
                negated = piece == "[^"
        return pattern

    def _resolve(self, reference: str, at: str) -> object:
        if reference.startswith("#/") or reference == "#":
            target: object = self._root
            for step in reference.split("/")[1:]:
                name = step.replace("~1", "/").replace("~0", "~")
                if isinstance(target, list) and (index := _index(name, len(target))) is not None:
                    target = target[index]
                elif isinstance(target, Mapping) and name in target:
                    target = target[name]
                else:
                    self._invalid(at, "$ref", f"{reference} does not exist")
            return target
        if self._anchors is None:
            self._anchors = {}
            for schema in _mappings(self._root):
                if isinstance(anchor := schema.get("$anchor"), str):
                    self._anchors.setdefault(anchor, []).append(schema)
        anchored = self._anchors.get(reference[1:], [])
        if len(anchored) != 1:
            self._invalid(at, "$ref", f"{reference} does not exist")
        return anchored[0]

    def _check_text(self, value: object, at: str, keyword: str) -> None:
        try:
            for text in _leaves(value):
                str(text).encode()
        except UnicodeEncodeError:
            self._invalid(at, keyword, "half of a surrogate pair is no character")

    def _invalid(self, at: str, keyword: str | None, reason: str) -> NoReturn:
        raise InvalidRequest(_message(at, keyword, reason), param=self._param)

    def _unsupported(self, at: str, keyword: str | None, reason: str) -> NoReturn:
        raise UnsupportedValue(_message(at, keyword, reason), param=self._param)


_Check = Callable[[_Checker, object, str, str, int], Any]  # Any: what goes with the keyword
_KEYWORDS: Mapping[str, _Check] = {
    "type": _Checker.types,
    "enum": _Checker.values,
    "const": _Checker.value,
    "anyOf": _Checker.schemas,
    "oneOf": _Checker.schemas,
    "allOf": _Checker.schemas,
    "$ref": _Checker.reference,
    "items": _Checker.items,
    "prefixItems": _Checker.only_new,
    "additionalItems": _Checker.only_old,
    "minItems": _Checker.count,
    "maxItems": _Checker.count,
    "properties": _Checker.named_schemas,
    "patternProperties": _Checker.named_schemas,
    "additionalProperties": _Checker.schema,
    "required": _Checker.required,
    "minProperties": _Checker.count,
    "maxProperties": _Checker.count,
    "minLength": _Checker.count,
    "maxLength": _Checker.count,
    "pattern": _Checker.pattern,
    "format": _Checker.format,
    "minimum": _Checker.bound,
    "maximum": _Checker.bound,
    "exclusiveMinimum": _Checker.bound,
    "exclusiveMaximum": _Checker.bound,
    "multipleOf": _Checker.multiple,
}


def _message(at: str, keyword: str | None, reason: str) -> str:
    named = "" if keyword is None else f", {keyword}"
    return f"The JSON schema at {at}{named}: {reason}."


def _index(name: str, length: int) -> int | None:
    """The place in an array that a step of a JSON pointer names; None: it names none."""
    if not (name.isascii() and name.isdecimal() and len(name) <= len(str(length))):
        return None
    return int(name) if int(name) < length and str(int(name)) == name else None


def _is_number(value: object) -> TypeGuard[int | float]:
    """A number as JSON has it: neither a boolean nor an infinity."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def _escaped(name: str) -> str:
    """A name as a step of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _leaves(value: object) -> Iterator[object]:
    """Every value in a JSON value that is no container, and every key."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            pending += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            pending += item
        else:
            yield item


def _mappings(value: object) -> Iterator[Mapping[str, object]]:
    """Every object in a JSON value."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            yield item
            pending += item.values()
        elif isinstance(item, list):
            pending += item
