"""The vendored specification judges as OpenAI means it."""

import pytest

from handler.api.fields import FIELDS, STREAM_OPTION_FIELDS
from tests.contract import specification
from tests.contract.bodies import event_faults, events, faults
from tests.contract.specification import properties, validate, violations

CHUNK = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1_700_000_000,
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "x"}, "logprobs": None, "finish_reason": None}],
}


@pytest.mark.parametrize(
    ("nullable", "repaired"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"$ref": "#/components/schemas/X", "nullable": True}, {"anyOf": [{"$ref": "#/schemas/X"}, {"type": "null"}]}),
        ({"type": "string", "nullable": False}, {"type": "string"}),
        ({"properties": {"nullable": {"type": "boolean"}}}, {"properties": {"nullable": {"type": "boolean"}}}),
        ({"properties": {"properties": {"nullable": True, "type": "null"}}}, None),
    ],
)
def test_nullability_is_repaired(nullable: dict[str, object], repaired: dict[str, object] | None) -> None:
    expected = {"properties": {"properties": {"type": ["null", "null"]}}} if repaired is None else repaired
    assert specification.repaired(nullable) == expected


def test_every_schema_that_another_names_is_there() -> None:
    schemas = specification.document()["schemas"]
    for name in schemas:
        # Fails for a reference that leads nowhere; the verdict does not matter.
        violations(name, {})


def test_values_are_judged() -> None:
    validate("CreateChatCompletionStreamResponse", CHUNK)
    assert violations("CreateChatCompletionStreamResponse", CHUNK | {"created": "now"}) == [
        "CreateChatCompletionStreamResponse: $.created: 'now' is not of type 'integer'"
    ]
    assert violations("ErrorResponse", {"error": {"message": "x", "type": "y", "param": None, "code": 400}}) == [
        "ErrorResponse: $.error.code: 400 is not valid under any of the given schemas"
    ]


CHAT = ("POST", "/v1/chat/completions")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, None),
        ({"choices": [{"index": 0, "delta": {"content": 1}, "finish_reason": None}]}, "Input should be a valid string"),
        ({"choices": [{"index": 0, "delta": {}, "finish_reason": "eos"}]}, "Input should be 'stop'"),
        ({"choices": [{"index": "0", "delta": {}, "finish_reason": None}]}, "Input should be a valid integer"),
        ({"choices": [{"index": 0, "delta": {"thought": "x"}, "finish_reason": None}]}, "delta.thought: unknown"),
        ({"extra": 1}, "extra: unknown to the openai package"),
    ],
)
def test_a_chunk_is_what_the_openai_package_reads(change: dict[str, object], fault: str | None) -> None:
    found = event_faults(*CHAT, CHUNK | change)
    assert (found == []) if fault is None else any(fault in line for line in found)


def test_an_answer_under_the_wrong_endpoint_or_status_is_a_fault() -> None:
    assert faults("GET", "/v1/models/org/name", 200, "application/json", b'{"id": "x"}') != []
    assert faults(*CHAT, 500, "application/json", b'{"detail": "x"}') != []
    assert faults(*CHAT, 200, "text/event-stream", b'data: {"detail": "x"}\n\n') != []
    assert faults("GET", "/v1/models", 200, "text/event-stream", b"data: {}\n\n") != []


@pytest.mark.parametrize("body", [b'{"x": NaN}', b'{"x": 1, "x": 2}'])
def test_what_only_pythons_json_reads_is_a_fault(body: bytes) -> None:
    with pytest.raises((ValueError, AssertionError)):
        faults(*CHAT, 400, "application/json", body)


def test_a_cut_stream_is_judged_as_far_as_it_came() -> None:
    assert list(events(b': hello\n\nevent: a\ndata: {"x":1}\n\ndata: [DONE]\n\ndata: {"x"')) == [{"x": 1}]


def test_every_request_property_of_the_specification_has_a_row() -> None:
    assert properties("CreateChatCompletionRequest") <= {row.name for row in FIELDS}
    assert properties("ChatCompletionStreamOptions") == {row.name for row in STREAM_OPTION_FIELDS}
