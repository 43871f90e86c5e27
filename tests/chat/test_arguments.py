"""The arguments that a call may have: no more than the caller defined, and no less than what can be enforced."""

from collections.abc import Mapping

import pytest

from handler.chat.arguments import ANY_ARGUMENTS, arguments_schema, enforceable
from handler.chat.dialects import lark
from handler.engine.grammar import LarkGrammar
from handler.engine.json_schema import JSON_STYLE, check_schema
from handler.errors import InvalidRequest
from tests.grammar.generated import COMPILER

Schema = dict[str, object]


def accepts(schema: Mapping[str, object]) -> bool:
    try:
        COMPILER.compile(LarkGrammar("start: " + lark.json_schema(schema)), param="p")
    except InvalidRequest:
        return False
    return True


def enforced(schema: Schema) -> Mapping[str, object]:
    return enforceable(check_schema(schema, param="p", lenient=True), accepts)


@pytest.mark.parametrize(
    ("parameters", "schema"),
    [
        (None, {"type": "object", "properties": {}, "additionalProperties": False}),
        ({}, {"type": "object"}),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}, "additionalProperties": False}),
        (
            {"properties": {"a": {}}, "required": ["a", "b"]},
            {"type": "object", "properties": {"a": {}}, "required": ["a", "b"]},
        ),
        (
            {"properties": {"a": {}}, "minProperties": 2},
            {"type": "object", "properties": {"a": {}}, "minProperties": 2},
        ),
    ],
)
def test_an_object_is_closed_where_what_it_lists_is_enough(parameters: Schema | None, schema: Schema) -> None:
    assert arguments_schema(parameters) == schema


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param({"type": "string", "pattern": r"^(?!\.).+@x$"}, {"type": "string"}, id="look-around"),
        pytest.param({"type": "string", "pattern": "("}, {"type": "string"}, id="broken pattern"),
        pytest.param({"$ref": "http://x/y", "type": "null"}, {"type": "null"}, id="remote reference"),
        pytest.param({"type": "integer", "minimum": 5, "maximum": 2}, {"type": "integer", "maximum": 2}, id="bounds"),
        pytest.param({"type": "null", "x-guidance": {"lenient": True}}, {"type": "null"}, id="engine options"),
        pytest.param({"type": "array", "uniqueItems": True}, {"type": "array"}, id="unknown keyword"),
        pytest.param({"type": "string", "maxLength": 10**38}, {"type": "string"}, id="endless"),
        pytest.param(
            {"type": "object", "patternProperties": {r"^\W": {}}, "additionalProperties": False},
            {"type": "object"},
            id="what is left over goes too",
        ),
        pytest.param({"oneOf": [{"multipleOf": 2}, {"multipleOf": 3}]},
                     {"anyOf": [{"multipleOf": 2}, {"multipleOf": 3}]}, id="oneOf"),
    ],
)  # fmt: skip
def test_only_what_cannot_be_enforced_is_given_up(given: Schema, kept: Schema) -> None:
    schema: Schema = {"type": "object", "properties": {"a": given, "b": {"type": "null"}}, "required": ["a"]}
    assert enforced(schema) == {
        **schema,
        "properties": {"a": kept, "b": {"type": "null"}},
        "$defs": {},
        "x-guidance": JSON_STYLE,
    }


def test_arguments_are_an_object_whatever_else_is_given_up() -> None:
    assert enforced({"type": "object", "allOf": [{"type": "string"}]})["type"] == "object"
    assert enforced({"type": "object", "$ref": "#"}) == {**ANY_ARGUMENTS, "$defs": {}}
    properties: Schema = {f"p{i}": {} for i in range(500)}
    assert enforced({"type": "object", "properties": properties, "additionalProperties": False})["type"] == "object"


def test_what_is_no_schema_is_refused_all_the_same() -> None:
    with pytest.raises(InvalidRequest, match="at #/properties/a, type: one of"):
        enforced({"type": "object", "properties": {"a": {"type": "any"}}})
