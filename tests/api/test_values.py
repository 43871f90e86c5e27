"""Readers of JSON values: strict types, and errors that name the field and what is allowed."""

import pytest

from handler.api.containers import Integers, Stops, TextMap, TokenBias
from handler.api.values import (
    AnyObject,
    Boolean,
    Integer,
    Json,
    Name,
    Number,
    OneOf,
    Only,
    Reader,
    Text,
)
from handler.errors import InvalidRequest

BIAS = TokenBias(Number(-100, 100))


@pytest.mark.parametrize(
    ("reader", "value", "read"),
    [
        (Boolean(), False, False),
        (Text(), "", ""),
        (Text(2), "ab", "ab"),
        (Name(), "a-Z_9" * 12, "a-Z_9" * 12),
        (Integer(0, 20), 20, 20),
        (Number(0, 2), 2, 2.0),
        (Number(0, 2), 0.5, 0.5),
        (OneOf(("a", "b")), "b", "b"),
        (Integers(Integer(0, 9)), [1, 2], (1, 2)),
        (Integers(Integer(0, 9)), [], ()),
        (Stops(), "x", ("x",)),
        (Stops(), "", ()),
        (Stops(), [], ()),
        (Stops(), ["a", "", "b", "c", "d", "e"], ("a", "b", "c", "d", "e")),
        (BIAS, {"7": -100, "8": 0.5}, {7: -100.0, 8: 0.5}),
        (TextMap(1, 1, 1), {"a": "b"}, {"a": "b"}),
        (AnyObject(), {"a": [1]}, {"a": [1]}),
        (Only((False,)), False, None),
        (Only(({"a": 1, "b": 2},)), {"b": 2, "a": 1}, None),
    ],
)
def test_reads(reader: Reader[object], value: Json, read: object) -> None:
    assert reader(value, "f") == read


@pytest.mark.parametrize(
    ("reader", "value", "message", "param", "code"),
    [
        (Number(0, 2), "0.7", "expected a decimal, but got a string instead", "f", "invalid_type"),
        (Number(0, 2), True, "expected a decimal, but got a boolean instead", "f", "invalid_type"),
        (Number(0, 2), 2.5, "Expected a value <= 2, but got 2.5 instead", "f", "decimal_above_max_value"),
        (Number(0, 2), -1, "Expected a value >= 0, but got -1 instead", "f", "decimal_below_min_value"),
        (Integer(0, 20), 1.0, "expected an integer, but got a decimal instead", "f", "invalid_type"),
        (Integer(0, 20), True, "expected an integer, but got a boolean instead", "f", "invalid_type"),
        (Integer(0, 20), 21, "Expected a value <= 20, but got 21 instead", "f", "integer_above_max_value"),
        (Integer(0, 20), -(10**30), "Expected a value >= 0", "f", "integer_below_min_value"),
        (Boolean(), 1, "expected a boolean, but got an integer instead", "f", "invalid_type"),
        (Boolean(), "true", "expected a boolean, but got a string instead", "f", "invalid_type"),
        (Text(), 1, "expected a string, but got an integer instead", "f", "invalid_type"),
        (Text(2), "abc", "maximum length 2, but got a string with length 3", "f", "string_above_max_length"),
        (Name(), "a b", "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'", "f", "invalid_value"),
        (Name(), "", "does not match pattern", "f", "invalid_value"),
        (Name(), "a\n", "does not match pattern", "f", "invalid_value"),
        (Name(), "a" * 65, "maximum length 64", "f", "string_above_max_length"),
        (OneOf(("a", "b")), "c", 'expected "a" or "b"', "f", "unsupported_value"),
        (Integers(Integer(0, 9)), [1, "2"], "expected an integer, but got a string", "f[1]", "invalid_type"),
        (Integers(Integer(0, 9)), 1, "expected an array, but got an integer", "f", "invalid_type"),
        (Stops(), ["a", 1], "expected a string, but got an integer", "f[1]", "invalid_type"),
        (Stops(), {}, "expected a string or an array of strings, but got an object", "f", "invalid_type"),
        (BIAS, {"x": 1}, "every key must be a token id", "f", "invalid_value"),
        (BIAS, {"-1": 1}, "every key must be a token id", "f", "invalid_value"),
        (BIAS, {"1": 101}, "Expected a value <= 100", "f.1", "decimal_above_max_value"),
        (BIAS, [1], "expected an object, but got an array", "f", "invalid_type"),
        (TextMap(1, 1, 1), {"a": "b", "c": "d"}, "map of at most 1 strings", "f", "invalid_value"),
        (TextMap(1, 1, 1), {"a": None}, "expected a string, but got null", "f.a", "invalid_type"),
        (AnyObject(), "x", "expected an object, but got a string", "f", "invalid_type"),
        (Only(), 0, "'f' is not supported by this server", "f", "unsupported_parameter"),
        (Only((1,)), True, "supports only 1", "f", "unsupported_value"),
        (Only((1,)), 1.0, "supports only 1", "f", "unsupported_value"),
        (Only((False,)), 0, "supports only false", "f", "unsupported_value"),
    ],
)
def test_refuses(reader: Reader[object], value: Json, message: str, param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        reader(value, "f")
    assert message in caught.value.message
    assert (caught.value.param, caught.value.code) == (param, code)


@pytest.mark.parametrize(
    ("reader", "summary"),
    [
        (Integer(-1, 2**31 - 1), "integer -1 to 2147483647"),
        (Number(0, 2), "number 0 to 2"),
        (OneOf(("in_memory", "24h")), '"in_memory" or "24h"'),
        (Only((1,)), "only 1"),
        (Only(({"type": "text"},)), 'only {"type": "text"}'),
        (Only(), "nothing"),
        (BIAS, "map of token ids to number -100 to 100"),
    ],
)
def test_summaries_document_the_bounds(reader: Reader[object], summary: str) -> None:
    assert reader.summary == summary
