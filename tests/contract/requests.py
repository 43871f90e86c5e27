"""Requests made from the field tables: valid values of a row, and values that no reading of it allows.

A row whose reader is general (a number, a boolean, …) is drawn from the reader's own bounds; the others have a list of
examples by path. Numbers that bound work are kept small, so that an example takes milliseconds.
"""

from collections.abc import Mapping
from math import ceil, floor
from typing import Any

from hypothesis import strategies as st

from handler.api.containers import Integers, Stops, TextMap, TokenBias
from handler.api.fields import Field
from handler.api.values import Boolean, Integer, Number, OneOf, Only, Text

Json = Any
Values = st.SearchStrategy[Json]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON: Values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
SCHEMA = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "additionalProperties": False}
FUNCTION = {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}
LEGACY_FUNCTION = {"name": "f", "description": "d", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
RESPONSES_TOOL = {"type": "function", **FUNCTION}
FORMAT = {"type": "json_schema", "name": "x", "schema": SCHEMA, "strict": True}
HI = {"role": "user", "content": "hi"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}

# Valid values by path, where a reader's bounds are not all, or say nothing.
SPECIAL: Mapping[str, list[Json]] = {
    "model": ["fake-model"],
    "messages": [
        [HI],
        [{"role": "system", "content": "s"}, HI, {"role": "assistant", "content": None, "refusal": "no"}, HI],
        [HI, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c", "content": "1"}],
        [{"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, HI],
    ],
    "prompt": ["hi", ["hi", "ho"], [72, 105], [[72], [105]]],
    "input": ["hi", [HI], [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}]],
    "max_tokens": [1, 2, 3],
    "max_completion_tokens": [1, 2, 3],
    "max_output_tokens": [16, 17],
    "min_tokens": [0, 1],
    "n": [1, 2, 3],
    "best_of": [1],
    "stop_token_ids": [[], [0], [258]],
    "logit_bias": [{}, {"65": 5}, {"257": -100, "0": 0.5}],
    "stream_options": [{}, {"include_obfuscation": False}],
    "chat_template_kwargs": [{}],
    "tools": [[], [TOOL]],
    "tool_choice": ["none", "auto"],
    "functions": [[], [LEGACY_FUNCTION]],
    "function_call": ["none", "auto"],
    "response_format": [{"type": "text"}, {"type": "json_object"}, {"type": "json_schema", "json_schema": FORMAT}],
    "structured_outputs": [{"regex": "a+"}, {"choice": ["a", "b"]}, {"json": SCHEMA}, {"json_object": True}],
    "prediction": [{"type": "content", "content": text} for text in ("", "Hi", [{"type": "text", "text": "Hello."}])],
    "reasoning_effort": ["none", "medium"],
    "include": [[], ["message.output_text.logprobs"]],
    "text": [{}, {"format": {"type": "text"}}, {"format": FORMAT}],
    "reasoning": [{}, {"effort": "none"}],
    "add_generation_prompt": [True],
    "continue_final_message": [False],
    "ignore_eos": [False, True],
}
SPECIAL["response_format"][2] = {"type": "json_schema", "json_schema": {k: FORMAT[k] for k in ("name", "schema")}}
# What a value needs beside it.
COMPANIONS: Mapping[str, dict[str, Json]] = {
    "top_logprobs": {"logprobs": True},
    "stream_options": {"stream": True},
    "tool_choice": {"tools": [TOOL]},
    "function_call": {"functions": [LEGACY_FUNCTION]},
    "parallel_tool_calls": {"tools": [TOOL]},
    "prediction": {"n": 1},
    "continue_final_message": {"add_generation_prompt": False},
}


def valid(row: Field[object], special: Mapping[str, list[Json]]) -> Values:
    """Values that the row takes; null, which is always absent, among them where the row is optional."""
    if row.name in special:
        values: Values = st.sampled_from(special[row.name])
    else:
        values = _read_by(row)
    # The scripted model has no token that begins a document, so an absent prompt is nothing to continue.
    return values if row.required or (row.name == "prompt" and "prompt" in special) else values | st.none()


def _read_by(row: Field[object]) -> Values:
    match row.reader:
        case Boolean():
            return st.booleans()
        case Integer(minimum=low, maximum=high):
            return st.integers(low, high)
        case Number(minimum=low, maximum=high):
            return st.floats(low, high) | st.integers(ceil(low), floor(high))
        case OneOf(values=values) | Only(values=values):
            return st.sampled_from(values) if values else st.none()
        case Stops():
            return TEXTS | st.lists(TEXTS, max_size=5)
        case Text(max_length=bound):
            return st.text(st.characters(exclude_categories=["Cs"]), max_size=min(bound or 20, 20))
        case TextMap():
            return st.dictionaries(st.text("ab", max_size=9), TEXTS, max_size=16)
    raise NotImplementedError(f"no values for {row.path}: add some to SPECIAL")


def invalid(row: Field[object]) -> Values:
    """Values that are of another type, out of bounds, or not in the set: never null, never a default."""
    match row.reader:
        case Boolean():
            return _not(bool)
        case Integer(minimum=low, maximum=high):
            return _not(int) | st.sampled_from([low - 1, high + 1, low + 0.5, 1e300])
        case Number(minimum=low, maximum=high):
            return _not(int, float) | st.sampled_from([low - 0.001, low - 1, high + 0.01, high + 1, 1e300, -1e300])
        case OneOf(values=values):
            return _not(str) | TEXTS.filter(lambda text: text not in values)
        case Only(values=values):
            return JSON.filter(lambda value: value is not None and not _among(value, values))
        case Integers() | TokenBias() | Stops() | TextMap():
            return st.booleans() | st.integers() | st.just([[]]) | st.just([{"a": 1}]) | st.just({"a": []})
        case Text(max_length=bound):
            return _not(str) | (st.just("x" * (bound + 1)) if bound else st.nothing())
    values: Values = st.booleans() | st.integers() | st.just([None]) | st.just({"type": "nonsense"})
    return values if row.name in ("input", "prompt") else values | st.just("nonsense\x00")


def _among(value: Json, values: tuple[Json, ...]) -> bool:
    # true is 1 and 1.0 is 1 for Python; here a value more counted as allowed only means one example less.
    return any(value == allowed for allowed in values)


def _not(*kinds: type) -> Values:
    return JSON.filter(
        lambda value: (
            value is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds))
        )
    )
