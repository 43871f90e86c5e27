"""`response_format` and `structured_outputs`: what an answer may be limited to, and a path to whatever is wrong."""

import pytest

from handler.api.formats import AnswerFormat, AnyJsonObject, Choices, Lark, Regex, ResponseFormat, Schema
from handler.api.values import Json, JsonObject, Reader
from handler.engine.grammar import ChoiceGrammar, JsonObjectGrammar, JsonSchemaGrammar, LarkGrammar, RegexGrammar
from handler.errors import InvalidRequest

SCHEMA: JsonObject = {"type": "object", "properties": {"x": {"type": "integer"}}}


ENFORCED = AnswerFormat(grammar=JsonSchemaGrammar(SCHEMA), path="p.json_schema.schema")


def json_schema(**more: Json) -> Json:
    return {"type": "json_schema", "json_schema": {"name": "n", **more}}


@pytest.mark.parametrize(
    ("reader", "value", "read"),
    [
        (ResponseFormat(), {"type": "text"}, None),
        (ResponseFormat(), {"type": "json_object"}, AnswerFormat(grammar=JsonObjectGrammar(), path="p")),
        (ResponseFormat(), json_schema(schema=SCHEMA, strict=True), ENFORCED),
        # Enforced all the same.
        (ResponseFormat(), json_schema(schema=SCHEMA, strict=False), ENFORCED),
        (ResponseFormat(), json_schema(schema=SCHEMA, strict=None), ENFORCED),
        (
            ResponseFormat(),
            json_schema(description="Ages."),
            AnswerFormat(grammar=JsonObjectGrammar(), path="p.json_schema", told="Answer in the format n: Ages."),
        ),
        (Schema(), SCHEMA, JsonSchemaGrammar(SCHEMA)),
        (Schema(), '{"type": "integer"}', JsonSchemaGrammar({"type": "integer"})),
        (AnyJsonObject(), True, JsonObjectGrammar()),
        (AnyJsonObject(), False, None),
        (Regex(), "[a-z]+", RegexGrammar("[a-z]+")),
        (Choices(), ["yes", "no"], ChoiceGrammar(("yes", "no"))),
        (Lark(), 'start: "a"', LarkGrammar('start: "a"')),
    ],
)
def test_reads(reader: Reader[object], value: Json, read: object) -> None:
    assert reader(value, "p") == read


@pytest.mark.parametrize(
    ("reader", "value", "param", "code"),
    [
        (ResponseFormat(), "json", "p", "invalid_type"),
        (ResponseFormat(), {}, "p.type", "missing_required_parameter"),
        (ResponseFormat(), {"type": "xml"}, "p.type", "invalid_value"),
        (ResponseFormat(), {"type": "json_schema"}, "p.json_schema", "missing_required_parameter"),
        (ResponseFormat(), {"type": "json_schema", "json_schema": {}}, "p.json_schema.name", None),
        (ResponseFormat(), json_schema(name="a b"), "p.json_schema.name", "invalid_value"),
        (ResponseFormat(), json_schema(schema=True), "p.json_schema.schema", "invalid_type"),
        (ResponseFormat(), json_schema(strict=1), "p.json_schema.strict", "invalid_type"),
        (ResponseFormat(), json_schema(description=1), "p.json_schema.description", "invalid_type"),
        (Schema(), "{", "p", "invalid_value"),
        (Schema(), '{"maxLength": 1e999}', "p", "invalid_value"),
        (Schema(), '{"multipleOf": NaN}', "p", "invalid_value"),
        (Schema(), '{"type": "null", "type": "null"}', "p", "invalid_value"),
        (Schema(), '{"const": "\\ud800"}', "p", "invalid_value"),
        (Schema(), "[" * 100_000, "p", "invalid_value"),
        (Schema(), "1", "p", "invalid_type"),
        (Schema(), 1, "p", "invalid_type"),
        (Choices(), [], "p", "empty_array"),
        (Choices(), ["a", 1], "p[1]", "invalid_type"),
        (Choices(), ["a", ""], "p[1]", "invalid_value"),
        (Regex(), 1, "p", "invalid_type"),
        (Lark(), {}, "p", "invalid_type"),
        (AnyJsonObject(), "true", "p", "invalid_type"),
    ],
)
def test_the_path_to_what_is_wrong(reader: Reader[object], value: Json, param: str, code: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        reader(value, "p")
    assert caught.value.param == param
    assert code in (None, caught.value.code)
