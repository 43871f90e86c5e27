"""Tools, functions and formats through the official client: streamed, folded, parsed, and answered in the next turn."""

from typing import Literal

import pytest
from openai import AsyncOpenAI, BadRequestError, LengthFinishReasonError, pydantic_function_tool
from pydantic import BaseModel

from tests.api.conftest import Serve
from tests.fakes import FakeTokenizer, ScriptedDecoder

HI = [{"role": "user", "content": "hi"}]


class Weather(BaseModel):
    """Tells the weather."""

    city: str
    unit: Literal["C", "F"]


ARGUMENTS = '{"city": "Rome", "unit": "C"}'
CALL = f'<tool_call>\n{{"name": "Weather", "arguments": {ARGUMENTS}}}\n</tool_call>'
TOOL = pydantic_function_tool(Weather)
FUNCTION = {"name": "Weather", "parameters": TOOL["function"]["parameters"]}
ASKED = {"model": "fake-model", "messages": HI, "temperature": 0}


def client_of(url: str) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0, _strict_response_validation=True)


async def test_a_call_is_parsed(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder(CALL))) as client:
        answer = await client.chat.completions.parse(**ASKED, tools=[TOOL])
    (choice,) = answer.choices
    (call,) = choice.message.tool_calls
    assert (choice.finish_reason, choice.message.content, choice.message.refusal) == ("tool_calls", None, None)
    assert (call.type, call.function.name, call.function.arguments) == ("function", "Weather", ARGUMENTS)
    assert call.function.parsed_arguments == Weather(city="Rome", unit="C")
    assert call.id.startswith("call_")


async def test_arguments_are_streamed_as_they_are_generated(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder(CALL))) as client:
        stream = await client.chat.completions.create(**ASKED, tools=[TOOL], tool_choice="required", stream=True)
        choices = [chunk.choices[0] async for chunk in stream]
    deltas = [choice.delta.model_dump(exclude_unset=True) for choice in choices]
    call_id = deltas[1]["tool_calls"][0].pop("id")
    assert call_id.startswith("call_")
    assert deltas[:2] == [
        {"role": "assistant", "content": ""},
        {"tool_calls": [{"index": 0, "type": "function", "function": {"name": "Weather", "arguments": ""}}]},
    ]
    pieces = [delta["tool_calls"] for delta in deltas[2:-1]]
    assert pieces == [[{"index": 0, "function": {"arguments": letter}}] for letter in ARGUMENTS]
    assert deltas[-1] == {}
    assert [choice.finish_reason for choice in choices] == [None] * (len(choices) - 1) + ["tool_calls"]


async def test_text_before_several_calls(serve: Serve) -> None:
    script = f"Let me see.\n{CALL}\n{CALL}"
    async with client_of(serve(ScriptedDecoder(script))) as client:
        answer = await client.chat.completions.create(**ASKED, tools=[TOOL])
        async with client.chat.completions.stream(**ASKED, tools=[TOOL]) as stream:
            streamed = await stream.get_final_completion()
    for whole in (answer, streamed):
        message = whole.choices[0].message
        assert message.content.strip() == "Let me see."
        assert [call.function.arguments for call in message.tool_calls] == [ARGUMENTS] * len(message.tool_calls)
        assert len({call.id for call in message.tool_calls}) == len(message.tool_calls)
        assert whole.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ("auto", "tool_calls"),
        ("required", "tool_calls"),
        ({"type": "function", "function": {"name": "Weather"}}, "stop"),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "Weather"}}]},
            },
            "tool_calls",
        ),
    ],
    ids=["auto", "required", "named", "allowed"],
)
async def test_why_an_answer_with_a_call_ends(serve: Serve, choice: object, reason: str) -> None:
    async with client_of(serve(ScriptedDecoder(CALL))) as client:
        answer = await client.chat.completions.create(**ASKED, tools=[TOOL], tool_choice=choice)
    assert answer.choices[0].finish_reason == reason
    assert answer.choices[0].message.tool_calls[0].function.name == "Weather"


async def test_a_call_that_is_cut_short_ends_with_length(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder(CALL))) as client:
        answer = await client.chat.completions.create(**ASKED, tools=[TOOL], max_tokens=len(CALL) - 20)
    (choice,) = answer.choices
    assert choice.finish_reason == "length"
    assert ARGUMENTS.startswith(choice.message.tool_calls[0].function.arguments)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "Weather"}}], ids=str)
async def test_a_call_that_has_to_be_made_shows_no_piece_of_its_marker(serve: Serve, choice: object) -> None:
    asked = {**ASKED, "tools": [TOOL], "tool_choice": choice, "max_tokens": 1}
    async with client_of(serve(ScriptedDecoder(CALL))) as client:
        answer = await client.chat.completions.create(**asked)
        stream = await client.chat.completions.create(**asked, stream=True)
        pieces = [chunk.choices[0].delta.content async for chunk in stream]
    assert answer.choices[0].finish_reason == "length"
    assert not answer.choices[0].message.content
    assert not "".join(piece or "" for piece in pieces)


@pytest.mark.parametrize("stop", ["}", "Rome", "<tool_call>", "<", "\n", "arguments", "tool_call>\n"])
async def test_a_stop_string_ends_text_and_no_call(serve: Serve, stop: str) -> None:
    asked = {**ASKED, "tools": [TOOL], "stop": [stop], "n": 2}
    async with client_of(serve(ScriptedDecoder(f"Hm.\n{CALL}"))) as client:
        whole = await client.chat.completions.create(**asked)
        async with client.chat.completions.stream(**asked) as stream:
            streamed = await stream.get_final_completion()
    for choice in (*whole.choices, *streamed.choices):
        assert (choice.finish_reason, choice.message.content) == ("tool_calls", "Hm.")
        assert [call.function.arguments for call in choice.message.tool_calls] == [ARGUMENTS]


@pytest.mark.parametrize("stop", ["m", "m.", "m.\n", "<b"])
async def test_a_stop_string_in_the_text_before_a_call_ends_the_answer(serve: Serve, stop: str) -> None:
    async with client_of(serve(ScriptedDecoder(f"Hm.\n<b>{CALL}"))) as client:
        answer = await client.chat.completions.create(**ASKED, tools=[TOOL], stop=[stop])
    (choice,) = answer.choices
    assert (choice.finish_reason, choice.message.tool_calls) == ("stop", None)
    assert choice.message.content == "Hm.\n<b>".split(stop, maxsplit=1)[0]


async def test_white_space_that_ends_the_answer_may_be_a_stop_string(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder(f"Hm.\n{CALL}"))) as client:
        answer = await client.chat.completions.create(**ASKED, tools=[TOOL], stop=["\n"], max_tokens=4)
    assert (answer.choices[0].finish_reason, answer.choices[0].message.content) == ("stop", "Hm.")


async def test_with_the_choice_none_nothing_is_called_and_no_tool_is_shown(serve: Serve) -> None:
    decoder = ScriptedDecoder(CALL)
    async with client_of(serve(decoder)) as client:
        answer = await client.chat.completions.create(**ASKED, tools=[TOOL], tool_choice="none")
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].finish_reason == "stop"
    assert "Weather" not in FakeTokenizer().text(decoder.prompts[0])


async def test_each_choice_makes_its_own_calls(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder(CALL))) as client:
        answer = await client.chat.completions.create(**ASKED, tools=[TOOL], n=2)
        async with client.chat.completions.stream(**ASKED, tools=[TOOL], n=2) as stream:
            streamed = await stream.get_final_completion()
    for whole in (answer, streamed):
        calls = [choice.message.tool_calls for choice in whole.choices]
        assert [[call.function.arguments for call in made] for made in calls] == [[ARGUMENTS], [ARGUMENTS]]
        assert calls[0][0].id != calls[1][0].id


async def test_log_probabilities_are_the_contents_and_a_call_has_none(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder(f"Hm.{CALL}"))) as client:
        answer = await client.chat.completions.create(**ASKED, tools=[TOOL], logprobs=True, top_logprobs=1)
    (choice,) = answer.choices
    listed = choice.logprobs.content
    assert bytes(byte for token in listed for byte in token.bytes).decode() == choice.message.content == "Hm."


async def test_a_round_trip(serve: Serve) -> None:
    decoder = ScriptedDecoder(CALL)
    async with client_of(serve(decoder)) as client:
        first = await client.chat.completions.create(**ASKED, tools=[TOOL])
        message = first.choices[0].message
        decoder.script = "22 degrees."
        answer = await client.chat.completions.create(
            model="fake-model",
            temperature=0,
            tools=[TOOL],
            messages=[
                *HI,
                message,
                {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": '{"degrees": 22}'},
            ],
        )
    assert answer.choices[0].message.content == "22 degrees."
    assert answer.choices[0].finish_reason == "stop"
    prompt = FakeTokenizer().text(decoder.prompts[1])
    assert ARGUMENTS in prompt
    assert '{"degrees": 22}' in prompt


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of the openai package about its own `parsed`
async def test_parsed_answers_may_be_sent_back_as_they_are(serve: Serve) -> None:
    decoder = ScriptedDecoder(CALL)
    async with client_of(serve(decoder)) as client:
        parsed = (await client.chat.completions.parse(**ASKED, tools=[TOOL])).choices[0].message
        async with client.chat.completions.stream(**ASKED, tools=[TOOL]) as stream:
            streamed = (await stream.get_final_completion()).choices[0].message
        decoder.script = ARGUMENTS
        written = (await client.chat.completions.parse(**ASKED, response_format=Weather)).choices[0].message
        decoder.script = "ok"
        for message in (parsed, streamed):
            answer = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "22"}
            for sent in (message, message.to_dict()):
                last = await client.chat.completions.create(
                    model="fake-model", messages=[*HI, sent, answer], tools=[TOOL]
                )
                assert last.choices[0].message.content == "ok"
        for sent in (written, written.to_dict()):
            last = await client.chat.completions.create(model="fake-model", messages=[*HI, sent, *HI])
            assert last.choices[0].message.content == "ok"
    assert "Rome" in FakeTokenizer().text(decoder.prompts[-1])


async def test_functions_are_answered_in_the_old_shape(serve: Serve) -> None:
    decoder = ScriptedDecoder(CALL)
    async with client_of(serve(decoder)) as client:
        first = await client.chat.completions.create(**ASKED, functions=[FUNCTION])
        stream = await client.chat.completions.create(**ASKED, functions=[FUNCTION], stream=True)
        choices = [chunk.choices[0] async for chunk in stream]
        named = await client.chat.completions.create(**ASKED, functions=[FUNCTION], function_call={"name": "Weather"})
        message = first.choices[0].message
        decoder.script = "22 degrees."
        last = await client.chat.completions.create(
            model="fake-model",
            temperature=0,
            functions=[FUNCTION],
            messages=[*HI, message, {"role": "function", "name": "Weather", "content": "22"}],
        )
    assert first.choices[0].finish_reason == choices[-1].finish_reason == "function_call"
    assert message.model_dump(exclude_none=True) == {
        "role": "assistant",
        "function_call": {"name": "Weather", "arguments": ARGUMENTS},
    }
    calls = [choice.delta.function_call for choice in choices if choice.delta.function_call]
    assert [call.name for call in calls] == ["Weather"] + [None] * len(ARGUMENTS)
    assert "".join(call.arguments for call in calls) == ARGUMENTS
    assert named.choices[0].finish_reason == "stop"
    assert named.choices[0].message.function_call.arguments == ARGUMENTS
    assert last.choices[0].message.content == "22 degrees."


async def test_a_format_is_parsed(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder(ARGUMENTS))) as client:
        answer = await client.chat.completions.parse(**ASKED, response_format=Weather)
        async with client.chat.completions.stream(**ASKED, response_format=Weather) as stream:
            streamed = await stream.get_final_completion()
        with pytest.raises(LengthFinishReasonError):
            await client.chat.completions.parse(**ASKED, response_format=Weather, max_tokens=5)
    for whole in (answer, streamed):
        assert whole.choices[0].message.parsed == Weather(city="Rome", unit="C")
        assert whole.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("limit", "content"),
    [
        ({"response_format": {"type": "json_object"}}, "{}"),
        ({"structured_outputs": {"choice": ["yes", "no"]}}, "no"),
        ({"structured_outputs": {"regex": "[a-c]{3}"}}, "aaa"),
        ({"structured_outputs": {"grammar": 'start: "x" "y"'}}, "xy"),
        ({"structured_outputs": {"json": {"const": 7}}}, "7"),
    ],
    ids=str,
)
async def test_a_limit_holds_whatever_the_model_wants(serve: Serve, limit: dict[str, object], content: str) -> None:
    # It wants none of what is allowed: of the rest, the lowest id is the most likely.
    async with client_of(serve(ScriptedDecoder("~" * 100))) as client:
        answer = await client.chat.completions.create(**ASKED, max_tokens=20, extra_body=limit)
    text = answer.choices[0].message.content
    if content == "{}":
        assert text.startswith("{")
    else:
        assert text == content
        assert answer.choices[0].finish_reason == "stop"


UNENFORCEABLE = {"type": "object", "properties": {"x": {"type": "array", "uniqueItems": True}}}
BAD_TOOL = {"type": "function", "function": {"name": "g", "strict": True, "parameters": UNENFORCEABLE}}
BAD_FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": UNENFORCEABLE}}


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"response_format": BAD_FORMAT}, "response_format.json_schema.schema"),
        ({"tools": [TOOL, BAD_TOOL]}, "tools[1].function.parameters"),
        ({"functions": [FUNCTION], "function_call": {"name": "g"}}, "function_call"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice"),
        ({"tools": [TOOL, TOOL]}, "tools"),
        ({"structured_outputs": {"regex": "("}}, "structured_outputs.regex"),
        ({"structured_outputs": {"grammar": "start"}}, "structured_outputs.grammar"),
        ({"structured_outputs": {"json": UNENFORCEABLE}}, "structured_outputs.json"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"tools": [TOOL], "stop_token_ids": [65]}, "stop_token_ids"),
        ({"tools": [TOOL], "tool_choice": "required", "stop_token_ids": [65]}, "stop_token_ids"),
        ({"response_format": {"type": "json_object"}, "stop_token_ids": [65]}, "stop_token_ids"),
        ({"structured_outputs": {"choice": ["a", "b"]}, "stop_token_ids": [65]}, "stop_token_ids"),
        ({"response_format": {"type": "json_object"}, "ignore_eos": True}, "ignore_eos"),
        ({"structured_outputs": {"choice": ["a", "b"]}, "ignore_eos": True}, "ignore_eos"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("stream", [False, True], ids=["folded", "streamed"])
async def test_what_cannot_be_enforced_is_refused_by_its_path(
    serve: Serve, sent: dict[str, object], param: str, stream: bool
) -> None:
    async with client_of(serve()) as client:
        with pytest.raises(BadRequestError) as caught:
            await client.chat.completions.create(**ASKED, stream=stream, extra_body=sent)
    assert caught.value.param == param
