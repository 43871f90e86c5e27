"""Messages: every role anywhere, text in every shape, and a path to whatever is wrong."""

import pytest

from handler.api.chat_request import read_chat_request
from handler.api.values import Json, JsonObject
from handler.chat.conversation import Message, ToolCall
from handler.errors import InvalidRequest

CALL: JsonObject = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def read(*messages: Json) -> tuple[Message, ...]:
    return read_chat_request({"model": "m", "messages": list(messages)}).conversation.messages


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_text_and_text_parts_in_every_role(role: str) -> None:
    parts: Json = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    expected = [("a", "n"), ("a\nb", None)]
    messages = read({"role": role, "content": "a", "name": "n"}, {"role": role, "content": parts, "name": None})
    assert [(message.content, message.name) for message in messages] == expected
    assert {message.role for message in messages} == {role}


def test_a_tool_exchange() -> None:
    assert read(
        {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None, "annotations": []},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "42"}]},
        {"role": "system", "content": "late"},
    ) == (
        Message(role="assistant", tool_calls=(ToolCall(id="call_1", name="f", arguments="{}"),)),
        Message(role="tool", tool_call_id="call_1", content="42"),
        Message(role="system", content="late"),
    )


def test_a_tool_message_answers_any_call_before_it() -> None:
    calls = [CALL, {**CALL, "id": "call_2"}]
    *_, last = read(
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_2", "content": "2"},
        {"role": "user", "content": "and the other?"},
        {"role": "tool", "tool_call_id": "call_1", "content": ""},
    )
    assert last == Message(role="tool", tool_call_id="call_1", content="")


def test_a_tool_message_that_answers_no_call_is_named() -> None:
    answer: Json = {"role": "tool", "tool_call_id": "call_9", "content": "a"}
    with pytest.raises(InvalidRequest) as caught:
        read({"role": "assistant", "tool_calls": [CALL]}, answer)
    assert caught.value.param == "messages[1].tool_call_id"


def test_the_older_form_of_a_tool_exchange() -> None:
    call: Json = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    answer: Json = {"role": "function", "name": "f", "content": "42"}
    assert read(call, answer, call, answer, {"role": "function", "name": "g", "content": None}) == (
        Message(role="assistant", tool_calls=(ToolCall(id="function_call_0", name="f", arguments="{}"),)),
        Message(role="tool", name="f", tool_call_id="function_call_0", content="42"),
        Message(role="assistant", tool_calls=(ToolCall(id="function_call_1", name="f", arguments="{}"),)),
        Message(role="tool", name="f", tool_call_id="function_call_1", content="42"),
        Message(role="tool", name="g", content=""),
    )


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_both_names_of_reasoning(key: str) -> None:
    assert read({"role": "assistant", "content": "a", key: "why"}) == (
        Message(role="assistant", content="a", reasoning_content="why"),
    )


def test_refusals_of_the_assistant() -> None:
    assert read(
        {"role": "assistant", "refusal": "no"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "assistant", "content": "a", "tool_calls": None},
        {"role": "assistant", "content": "a", "tool_calls": []},
        # What litellm makes of an answer that it sends back.
        {"role": "assistant", "content": "a", "provider_specific_fields": {"refusal": None}},
    ) == (
        Message(role="assistant", refusal="no"),
        Message(role="assistant", content="no"),
        Message(role="assistant", content="a"),
        Message(role="assistant", content="a"),
        Message(role="assistant", content="a"),
    )


def part(value: Json, role: str = "user") -> Json:
    return {"role": role, "content": [{"type": "text", "text": "a"}, value]}


@pytest.mark.parametrize(
    ("message", "param", "code"),
    [
        ("hi", "messages[0]", "invalid_type"),
        ({}, "messages[0].role", "missing_required_parameter"),
        ({"role": "robot", "content": "a"}, "messages[0].role", "invalid_value"),
        ({"role": "function", "content": "a"}, "messages[0].name", "missing_required_parameter"),
        ({"role": "function", "name": "f", "content": 1}, "messages[0].content", "invalid_type"),
        ({"role": 1, "content": "a"}, "messages[0].role", "invalid_type"),
        ({"role": "user"}, "messages[0].content", "missing_required_parameter"),
        ({"role": "user", "content": None}, "messages[0].content", "missing_required_parameter"),
        ({"role": "user", "content": 1}, "messages[0].content", "invalid_type"),
        ({"role": "user", "content": []}, "messages[0].content", "empty_array"),
        ({"role": "user", "content": "a", "name": 1}, "messages[0].name", "invalid_type"),
        ({"role": "user", "content": "a", "foo": 1}, "messages[0].foo", "unknown_parameter"),
        ({"role": "user", "content": "a", "tool_calls": []}, "messages[0].tool_calls", "unknown_parameter"),
        ({"role": "tool", "content": "a"}, "messages[0].tool_call_id", "missing_required_parameter"),
        ({"role": "assistant"}, "messages[0].content", "missing_required_parameter"),
        (
            {"role": "assistant", "content": "a", "provider_specific_fields": {"x": 1}},
            "messages[0].provider_specific_fields.x",
            "unsupported_parameter",
        ),
        ({"role": "assistant", "tool_calls": []}, "messages[0].content", "missing_required_parameter"),
        ({"role": "assistant", "content": "a", "audio": {"id": "x"}}, "messages[0].audio", "unsupported_parameter"),
        (
            {"role": "assistant", "function_call": {"name": "f"}},
            "messages[0].function_call.arguments",
            "missing_required_parameter",
        ),
        (
            {"role": "assistant", "function_call": {"name": "f", "arguments": "", "x": 1}},
            "messages[0].function_call.x",
            "unknown_parameter",
        ),
        (
            {"role": "assistant", "function_call": {"name": "f", "arguments": ""}, "tool_calls": [CALL]},
            "messages[0].function_call",
            "invalid_value",
        ),
        ({"role": "tool", "tool_call_id": "call_1", "content": "a"}, "messages[0].role", "invalid_value"),
        (
            {"role": "assistant", "content": "a", "reasoning": "x", "reasoning_content": "y"},
            "messages[0].reasoning",
            "invalid_value",
        ),
        ({"role": "assistant", "tool_calls": [{**CALL, "id": None}]}, "messages[0].tool_calls[0].id", None),
        ({"role": "assistant", "tool_calls": [{**CALL, "x": 1}]}, "messages[0].tool_calls[0].x", "unknown_parameter"),
        ({"role": "assistant", "tool_calls": [{**CALL, "type": "custom"}]}, "messages[0].tool_calls[0].type", None),
        (
            {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {}}}]},
            "messages[0].tool_calls[0].function.arguments",
            "invalid_type",
        ),
        (part("a"), "messages[0].content[1]", "invalid_type"),
        (part({"type": "image_url", "image_url": {"url": "x"}}), "messages[0].content[1]", "unsupported_value"),
        (part({"type": "input_audio", "input_audio": {}}), "messages[0].content[1]", "unsupported_value"),
        (part({"type": "file", "file": {}}, "assistant"), "messages[0].content[1]", "unsupported_value"),
        (part({"type": "refusal", "refusal": "no"}), "messages[0].content[1].type", "invalid_value"),
        (part({"type": "text"}), "messages[0].content[1].text", "missing_required_parameter"),
        (part({"text": "a"}), "messages[0].content[1].type", "missing_required_parameter"),
        (part({"type": "text", "text": "a", "x": 1}), "messages[0].content[1].x", "unknown_parameter"),
        (
            part({"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}),
            "messages[0].content[1].prompt_cache_breakpoint",
            "unsupported_parameter",
        ),
    ],
)
def test_the_path_to_what_is_wrong(message: Json, param: str, code: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(message)
    assert caught.value.param == param
    assert code in (None, caught.value.code)
