"""`input`: which turns the items are, and what is refused by name."""

import pytest

from handler.api.responses.items import UNSUPPORTED_ITEMS, Input
from handler.api.values import Json
from handler.chat.conversation import Message, ToolCall
from handler.errors import InvalidRequest, UnsupportedValue


def read(*items: Json) -> tuple[Message, ...]:
    return Input()(list(items), "input")


def call(call_id: str, name: str = "f", arguments: str = "{}") -> dict[str, Json]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def output(call_id: str, text: Json = "42") -> dict[str, Json]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def said(text: str) -> dict[str, Json]:
    part: Json = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}


def thought(text: str) -> dict[str, Json]:
    return {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


A, B = ToolCall(id="a", name="f", arguments="{}"), ToolCall(id="b", name="g", arguments='{"x":1}')


def test_text_is_a_users_message() -> None:
    assert Input()("hi", "input") == (Message(role="user", content="hi"),)


@pytest.mark.parametrize(
    ("item", "turn"),
    [
        ({"role": "user", "content": "hi"}, Message(role="user", content="hi")),
        ({"type": "message", "role": "system", "content": "hi"}, Message(role="system", content="hi")),
        ({"role": "developer", "content": "hi"}, Message(role="developer", content="hi")),
        ({"role": "assistant", "content": "hi"}, Message(role="assistant", content="hi")),
        (
            {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
            Message(role="user", content="a\nb"),
        ),
        (
            {"role": "assistant", "content": [{"type": "input_text", "text": "hi"}]},
            Message(role="assistant", content="hi"),
        ),
        (
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "phase": None},
            Message(role="assistant", content="no"),
        ),
        (said("hi"), Message(role="assistant", content="hi")),
    ],
)
def test_a_message_in_any_form(item: dict[str, Json], turn: Message) -> None:
    assert read(item) == (turn,)


def test_what_the_model_made_in_one_turn_becomes_one_turn_again() -> None:
    turns = read(
        {"role": "user", "content": "q"},
        thought("hm"),
        said("wait"),
        call("a"),
        call("b", "g", '{"x":1}'),
        output("a"),
        output("b", [{"type": "input_text", "text": "43"}]),
        said("done"),
    )
    assert turns == (
        Message(role="user", content="q"),
        Message(role="assistant", reasoning_content="hm", content="wait", tool_calls=(A, B)),
        Message(role="tool", content="42", tool_call_id="a"),
        Message(role="tool", content="43", tool_call_id="b"),
        Message(role="assistant", content="done"),
    )


def test_a_second_message_and_a_thought_after_it_begin_turns_of_their_own() -> None:
    assert read(said("1"), said("2"), call("a"), thought("hm"), said("3")) == (
        Message(role="assistant", content="1"),
        Message(role="assistant", content="2", tool_calls=(A,)),
        Message(role="assistant", reasoning_content="hm", content="3"),
    )


def test_calls_one_after_the_other() -> None:
    assert read(call("a"), output("a"), call("b", "g", '{"x":1}'), {**output("b"), "name": "g"}) == (
        Message(role="assistant", tool_calls=(A,)),
        Message(role="tool", content="42", tool_call_id="a"),
        Message(role="assistant", tool_calls=(B,)),
        Message(role="tool", content="42", tool_call_id="b", name="g"),
    )


def test_a_summary_stands_in_for_thoughts_that_are_not_there() -> None:
    summary: Json = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    assert read(summary, said("1")) == (Message(role="assistant", reasoning_content="hm", content="1"),)
    assert read({"type": "reasoning", "id": "rs_1", "summary": []}, said("1")) == (
        Message(role="assistant", content="1"),
    )


@pytest.mark.parametrize("kind", ["input_image", "input_file", "input_audio"])
def test_other_parts_are_named_and_never_fetched(kind: str) -> None:
    part: Json = {"type": kind, "image_url": "http://127.0.0.1:9/x"}
    with pytest.raises(UnsupportedValue) as caught:
        read({"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "input_text", "text": "b"}, part]})
    assert caught.value.param == "input[1].content[1]"
    with pytest.raises(UnsupportedValue) as caught:
        read(call("a"), output("a", [part]))
    assert caught.value.param == "input[1].output[0]"


@pytest.mark.parametrize("kind", sorted(UNSUPPORTED_ITEMS))
def test_items_of_hosted_tools_are_refused_by_name(kind: str) -> None:
    with pytest.raises(UnsupportedValue, match=kind) as caught:
        read({"type": kind, "id": "x"})
    assert caught.value.param == "input[0].type"


@pytest.mark.parametrize("item", [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}], ids=str)
def test_a_reference_is_refused_with_what_to_do(item: dict[str, Json]) -> None:
    with pytest.raises(UnsupportedValue, match="'store': false") as caught:
        read(item)
    assert caught.value.param == "input[0]"


@pytest.mark.parametrize(
    ("items", "param"),
    [
        ([], "input"),
        (["hi"], "input[0]"),
        ([{"content": "hi"}], "input[0].role"),
        ([{"role": "tool", "content": "hi"}], "input[0].role"),
        ([{"role": "user"}], "input[0].content"),
        ([{"role": "user", "content": []}], "input[0].content"),
        ([{"role": "user", "content": [{"text": "hi"}]}], "input[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "input[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "output_text", "text": "hi"}]}], "input[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "input_text"}]}], "input[0].content[0].text"),
        ([{"role": "user", "content": "hi", "status": "done"}], "input[0].status"),
        ([{"role": "assistant", "content": "hi", "phase": "commentary"}], "input[0].phase"),
        ([{"type": "new", "id": "x"}], "input[0].type"),
        ([output("a")], "input[0]"),
        ([call("a"), output("b")], "input[1]"),
        ([{**call("a"), "arguments": {}}], "input[0].arguments"),
        ([{**call("a"), "namespace": "n"}], "input[0].namespace"),
        ([{**call("a"), "caller": {"type": "program", "caller_id": "p"}}], "input[0].caller"),
        ([{"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "x"}], "input[0].encrypted_content"),
        ([{**thought("hm"), "summary": "s"}], "input[0].summary"),
        ([{**thought("hm"), "content": [{"type": "summary_text", "text": "s"}]}], "input[0].content[0].type"),
        (
            [{"role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": [{}]}]}],
            "input[0].content[0].annotations",
        ),
        (
            [{"role": "assistant", "content": [{"type": "output_text", "text": "a", "logprobs": [1]}]}],
            "input[0].content[0].logprobs[0]",
        ),
    ],
)
def test_what_cannot_be_read_is_named(items: list[Json], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(*items)
    assert caught.value.param == param


def test_a_call_made_directly_is_the_default() -> None:
    assert read({**call("a"), "caller": {"type": "direct"}}) == (Message(role="assistant", tool_calls=(A,)),)
