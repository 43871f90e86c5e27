"""Every schema is enforced or refused by name. The oracle of "enforced" is the `jsonschema` package."""

import json
from contextlib import suppress

import jsonschema
import pytest

from handler.engine.grammar import JsonObjectGrammar, JsonSchemaGrammar
from handler.engine.json_schema import _KEYWORDS
from handler.errors import InvalidRequest
from tests.grammar.generated import COMPILER, accepts, draw

Schema = dict[str, object]
OLD = {"$schema": "http://json-schema.org/draft-07/schema#"}

ENFORCED: dict[str, Schema] = {
    "null": {"type": "null"},
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "integer in a range": {"type": "integer", "minimum": -7, "exclusiveMaximum": 130},
    "integer above": {"type": "integer", "exclusiveMinimum": 999},
    "number": {"type": "number"},
    "number in a range": {"type": "number", "minimum": -0.5, "maximum": 2.25},
    "number in an open range": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "multipleOf": {"type": "integer", "multipleOf": 7},
    "multipleOf a quarter": {"type": "number", "multipleOf": 0.25, "minimum": 0},
    "string": {"type": "string"},
    "lengths": {"type": "string", "minLength": 2, "maxLength": 5},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2,3}-\\d+$"},
    "pattern within": {"type": "string", "pattern": "ab|cd", "maxLength": 12},
    "pattern and length": {"type": "string", "pattern": "^a*b*$", "minLength": 3, "maxLength": 4},
    "types": {"type": ["string", "null", "integer"], "maxLength": 3},
    "enum": {"enum": [1, "one", None, True, {"x": [1, 2.5]}, "é\"\\", []]},
    "enum with type": {"type": "string", "enum": ["a", 1, "b"]},
    "const": {"const": {"a": [1, "b", None]}},
    "control characters": {"enum": ["\b\t\n", "\f\r"]},
    "const with siblings": {"const": 5, "type": "integer", "minimum": 3},
    "const fraction": {"const": 0.1},
    "array": {"type": "array", "items": {"type": "integer", "maximum": 9, "minimum": 0}},
    "array of a size": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4},
    "prefixItems": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}], "items": False},
    "prefixItems and items": {"type": "array", "prefixItems": [{"const": 1}], "items": {"type": "null"}, "minItems": 1},
    "items as a list": {**OLD, "type": "array", "items": [{"type": "boolean"}], "additionalItems": {"type": "null"}},
    "object": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    },
    "optional properties": {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}}},
    "required beyond properties": {"type": "object", "required": ["z"], "additionalProperties": {"type": "boolean"}},
    "additionalProperties": {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 3},
    "properties and additionalProperties": {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "additionalProperties": {"type": "boolean"},
    },
    "patternProperties": {
        "type": "object",
        "patternProperties": {"^i_": {"type": "integer"}, "^s_": {"type": "string"}},
        "additionalProperties": False,
        "minProperties": 1,
    },
    "patternProperties and properties": {
        "type": "object",
        "properties": {"abc": {"maximum": 5}},
        "patternProperties": {"^a": {"type": "integer"}},
        "additionalProperties": {"type": "null"},
        "required": ["abc"],
    },
    "minProperties": {"type": "object", "additionalProperties": {"type": "null"}, "minProperties": 1},
    "exactly one of two": {
        "type": "object",
        "properties": {"a": {"type": "null"}, "b": {"type": "null"}},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    },
    "anyOf": {"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 2}]},
    "anyOf with siblings": {"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": -5}]},
    "oneOf by type": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    "oneOf by constant": {
        "oneOf": [
            {"type": "object", "properties": {"kind": {"const": "a"}, "x": {"maximum": 3}}, "required": ["kind", "x"]},
            {"type": "object", "properties": {"kind": {"const": "b"}}, "required": ["kind"]},
        ],
        "discriminator": {"propertyName": "kind"},
    },
    "allOf": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "null"}}, "required": ["b"]},
        ]
    },
    "allOf of patterns": {"type": "string", "pattern": "^a", "allOf": [{"pattern": "z$"}], "maxLength": 6},
    "local reference": {"$defs": {"n": {"type": "integer"}}, "type": "array", "items": {"$ref": "#/$defs/n"}},
    "reference with siblings": {"$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/n", "minimum": 3},
    "recursion": {
        "$ref": "#/definitions/node",
        "definitions": {
            "node": {
                "type": "object",
                "properties": {
                    "value": {"type": "integer"},
                    "children": {"type": "array", "items": {"$ref": "#/definitions/node"}},
                },
                "required": ["value", "children"],
                "additionalProperties": False,
            }
        },
    },
    "recursion to the root": {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "required": ["next"],
        "additionalProperties": False,
    },
    "anchor": {"$ref": "#here", "$defs": {"x": {"$anchor": "here", "type": "boolean"}}},
    "escaped pointer": {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "boolean"}}},
    "annotations": {
        "$comment": "c", "title": "t", "description": "d", "default": 1, "examples": [1], "x-y": 1, "type": "integer",
    },
    "nothing asked": {"type": "array", "items": {"type": "null"}, "uniqueItems": False},
    "any value": {},
    **{
        f"format {name}": {"type": "string", "format": name}
        for name in ("date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri")
    },
    "format and pattern": {"type": "string", "format": "date", "pattern": "^20"},
}  # fmt: skip


@pytest.mark.parametrize("name", ENFORCED)
def test_whatever_is_generated_is_valid(name: str) -> None:
    schema = ENFORCED[name]
    spec = JsonSchemaGrammar(schema)
    validator = jsonschema.validators.validator_for(schema)(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    texts = [text for seed in range(25) if (text := draw(spec, seed)) is not None]
    assert len(texts) >= 5
    for text in texts:
        validator.validate(json.loads(text))


REFUSED: dict[str, tuple[Schema, str]] = {
    "uniqueItems": ({"type": "array", "uniqueItems": True}, "at #, uniqueItems: not a keyword"),
    "not": ({"properties": {"a": {"not": {"type": "null"}}}}, "at #/properties/a, not:"),
    "if": ({"items": {"if": {}, "then": {}}}, "at #/items, if:"),
    "contains": ({"anyOf": [{"type": "null"}, {"contains": {}}]}, "at #/anyOf/1, contains:"),
    "dependentSchemas": ({"dependentSchemas": {}}, "at #, dependentSchemas:"),
    "dependentRequired": ({"dependentRequired": {}}, "at #, dependentRequired:"),
    "dependencies": ({**OLD, "dependencies": {}}, "at #, dependencies:"),
    "propertyNames": ({"propertyNames": {"maxLength": 3}}, "at #, propertyNames:"),
    "unevaluatedProperties": ({"unevaluatedProperties": False}, "at #, unevaluatedProperties:"),
    "unevaluatedItems": ({"unevaluatedItems": False}, "at #, unevaluatedItems:"),
    "$dynamicRef": ({"$dynamicRef": "#x"}, "at #, \\$dynamicRef:"),
    "nullable": ({"type": "string", "nullable": True}, "at #, nullable:"),
    "a misspelling": ({"type": "integer", "minimun": 3}, "at #, minimun:"),
    "options for the engine": ({"x-guidance": {"lenient": True}}, "at #, x-guidance:"),
    "in a definition": ({"$ref": "#/$defs/a", "$defs": {"a": {"not": {}}}}, "at #/\\$defs/a, not:"),
    "an unknown format": ({"properties": {"a": {"format": "isbn"}}}, "at #/properties/a, format: 'isbn' is not among"),
    "a remote reference": ({"$ref": "https://example.com/s.json"}, "at #, \\$ref: only references within"),
    "a reference to nothing": ({"items": {"$ref": "#/$defs/a"}}, "at #/items, \\$ref: #/\\$defs/a does not exist"),
    "a reference to itself": ({"$ref": "#"}, "at #, \\$ref: # leads to itself"),
    "references in a circle": (
        {"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        "at #/items, \\$ref: #/\\$defs/a leads to itself",
    ),
    "a control character": ({"properties": {"a": {"const": "\x01"}}}, "at #/properties/a, const: control characters"),
    "a control character among others": ({"enum": ["a", ["\x7f"]]}, "at #, enum: control characters"),
    "an unknown type": ({"type": "any"}, "at #, type: one of null, boolean"),
    "look-ahead": ({"properties": {"a": {"pattern": "(?=a)b"}}}, "at #/properties/a, pattern: look-around"),
    "a broken pattern": ({"pattern": "(a"}, "at #, pattern: unclosed group"),
    "a word boundary": ({"pattern": "\\bfoo"}, "at #, pattern: lookarounds not supported"),
    "no word character": ({"pattern": "^\\W$"}, r"at #, pattern: validators do not agree on what \\W leaves out"),
    "no digit, in a class": ({"pattern": "^[^a\\d]$"}, r"at #, pattern: validators do not agree on what \\d"),
    "repeated repetition": (
        {"properties": {"a": {"pattern": "^(a{1000}){1000}$"}}},
        "at #/properties/a, pattern: more than 20000 characters",
    ),
    "a pattern of keys": ({"patternProperties": {"(": {}}}, "at #, patternProperties: unclosed group"),
    "patterns that overlap": (
        {"type": "object", "patternProperties": {"^a": {"type": "null"}, "b": {"type": "integer"}}},
        "at #, patternProperties: patternProperty regexes",
    ),
    "a multiple of a decimal fraction": ({"multipleOf": 0.01}, "at #, multipleOf: validators"),
    "a multiple of nothing": ({"multipleOf": 0}, "at #, multipleOf: a number above 0"),
    "a large number": ({"const": 2**53 + 1}, "at #, const: numbers from 2⁵³"),
    "an endless length": ({"minLength": 10**38}, "at #, minLength: only counts up to 2147483647"),
    "too many items": ({"items": {"maxItems": 10**38}}, "at #/items, maxItems: only counts"),
    "too many properties": ({"maxProperties": 2.0**40}, "at #, maxProperties: only counts"),
    "half an item": ({"minItems": 0.5}, "at #, minItems: a whole number"),
    "infinity": ({"maxLength": float("inf")}, "at #, maxLength: a whole number"),
    "no number": ({"multipleOf": float("nan")}, "at #, multipleOf: a number above 0"),
    "no constant": ({"enum": [float("nan")]}, "at #, enum: numbers have to be finite"),
    "a reference far into a list": (
        {"$ref": f"#/anyOf/{'9' * 5000}", "anyOf": [{}]},
        "at #, \\$ref: .* does not exist",
    ),
    "half a character": ({"const": "\ud800"}, "at #, const: half of a surrogate pair"),
    "more keys than can be counted": ({"type": "object", "minProperties": 2}, "at #, minProperties:"),
    "properties to be counted": (
        {"type": "object", "properties": {"a": {}, "b": {}}, "maxProperties": 1},
        "at #, maxProperties: only enforced where",
    ),
    "oneOf of what overlaps": (
        {"properties": {"a": {"oneOf": [{"multipleOf": 2}, {"multipleOf": 3}]}}},
        "at #/properties/a, oneOf: its schemas cannot be told apart",
    ),
    "nothing between the bounds": ({"type": "integer", "minimum": 5, "maximum": 3}, "at #, minimum: Unsatisfiable"),
    "nothing at all": ({"enum": []}, "at #, enum: a list of values is needed"),
    "draft 4 bounds today": ({"minimum": 1, "exclusiveMinimum": True}, "at #, exclusiveMinimum: a number is needed"),
    "a list of items today": ({"items": [{}]}, "at #, items: a list is what older drafts take"),
    "prefixItems of old": ({**OLD, "prefixItems": [{}]}, "at #, prefixItems: the draft"),
    "required of old": ({"properties": {"a": {"required": True}}}, "at #/properties/a, required: a list of names"),
    "too deep": ({"anyOf": [{"anyOf": [{}]}]}, ""),
}


def deep(depth: int) -> Schema:
    schema: Schema = {}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


REFUSED["too deep"] = (deep(60), "nested more than 50 schemas deep")


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_enforced_is_refused_by_keyword_and_place(name: str) -> None:
    schema, message = REFUSED[name]
    with pytest.raises(InvalidRequest, match=message) as error:
        COMPILER.compile(JsonSchemaGrammar(schema), param="response_format.json_schema.schema")
    assert error.value.param == "response_format.json_schema.schema"


ODD: tuple[object, ...] = (
    None,
    True,
    -1,
    0.5,
    10**38,
    -(10**38),
    1e308,
    float("nan"),
    "",
    "(",
    "#",
    "\0",
    [],
    [None],
    [[]],
    {},
    {"": None},
)


@pytest.mark.parametrize("keyword", sorted(_KEYWORDS))
@pytest.mark.parametrize("around", [{}, {"type": "array"}, {"type": "object"}, {"type": "string"}, OLD], ids=str)
def test_no_value_of_a_keyword_is_anything_but_enforced_or_refused(keyword: str, around: Schema) -> None:
    for value in ODD:
        with suppress(InvalidRequest):
            COMPILER.compile(JsonSchemaGrammar({**around, keyword: value}), param="schema")


def test_a_definition_that_nothing_refers_to_is_not_read() -> None:
    assert accepts(JsonSchemaGrammar({"type": "null", "$defs": {"unused": {"not": {}}}}), "null")


def test_json_is_written_as_pythons_json_writes_it() -> None:
    spec = JsonSchemaGrammar({"type": "object"})
    value = {"a": 1, "b": [True, None, {"c": 'é\n"\\'}], "d": {}}
    assert accepts(spec, json.dumps(value, ensure_ascii=False))
    assert not accepts(spec, json.dumps(value, indent=2))
    assert not accepts(spec, '{"a" : 1}')


def test_a_key_cannot_be_spelled_around_its_rules() -> None:
    spec = JsonSchemaGrammar({"type": "object", "properties": {"a": {"type": "integer"}}})
    assert accepts(spec, '{"a": 1, "b": "x"}')
    assert not accepts(spec, '{"\\u0061": "x"}')


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ('"2024-02-29"', True),
        ('"2000-02-29"', True),
        ('"2023-02-29"', False),
        ('"1900-02-29"', False),
        ('"0000-01-01"', False),
        ('"2023-04-31"', False),
        ('"2023-12-31"', True),
    ],
)
def test_dates_exist(text: str, allowed: bool) -> None:
    assert accepts(JsonSchemaGrammar({"format": "date", "type": "string"}), text) is allowed


def test_any_json_object() -> None:
    for seed in range(20):
        text = draw(JsonObjectGrammar(), seed)
        assert text is None or isinstance(json.loads(text), dict)
    assert not accepts(JsonObjectGrammar(), "[]")
