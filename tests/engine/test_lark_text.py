"""Schemas within Lark are read with the same care as those without."""

import json
import time
from contextlib import suppress

import pytest

from handler.engine.json_schema import check_schema
from handler.engine.lark_text import with_checked_schemas
from handler.errors import InvalidRequest, UnsupportedValue

CHECKED = json.dumps(check_schema({"type": "null"}, param="p").complete())


@pytest.mark.parametrize(
    ("text", "checked"),
    [
        ('start: "a" /b/', 'start: "a" /b/'),
        ('start: %json {"type": "null", "title": "t"} "x"', f'start: %json {CHECKED} "x"'),
        ('start: a\na: %json\n{"type": "null"}%json {"type": "null"}', f"start: a\na: %json\n{CHECKED}%json {CHECKED}"),
        (r'start: "\"%json {" /\/%json x/ // %json', r'start: "\"%json {" /\/%json x/ // %json'),
        ('# "\nstart: %json {"type": "null"} # %json', f'# "\nstart: %json {CHECKED} # %json'),
    ],
)
def test_schemas_are_written_as_the_engine_wants_them(text: str, checked: str) -> None:
    assert with_checked_schemas(text, param="p") == checked


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ('{"properties": {"a": {"uniqueItems": true}}}', "at #/properties/a, uniqueItems: not a keyword"),
        ('{"x-guidance": {"lenient": true}}', "at #, x-guidance: not a keyword"),
        ('{"minLength": 1e999}', "at #, minLength: a whole number"),
        ('{"type": "null", "type": "null"}', "After %json, the grammar has no JSON schema"),
        ("[1]", "After %json"),
        ("{", "After %json"),
        ("[" * 100_000, "After %json"),
    ],
)
def test_a_schema_that_is_not_enforced_is_refused_by_keyword_and_place(schema: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as error:
        with_checked_schemas(f'start: "a" %json {schema}', param="structured_outputs.grammar")
    assert error.value.param == "structured_outputs.grammar"


def test_a_regular_expression_is_followed_only_if_it_is_not_too_large() -> None:
    assert with_checked_schemas("start: /(a{100}){100}/", param="p") == "start: /(a{100}){100}/"
    with pytest.raises(UnsupportedValue, match="repeat less often"):
        with_checked_schemas('start: "a" /(a{1000}){1000}/', param="p")


@pytest.mark.parametrize("mark", ['\\"', "\\/", '"\n', "/", '"/', "%json"])
def test_marks_that_nothing_closes_cost_one_pass(mark: str) -> None:
    """A pass for each would be minutes, during which nobody else is answered."""
    text = mark * 200_000
    began = time.perf_counter()
    with suppress(InvalidRequest):
        with_checked_schemas(text, param="p")
    assert time.perf_counter() - began < 10
