"""The official OpenAI client and its Responses API over a real socket."""

import json

import pytest
from openai import BadRequestError
from pydantic import BaseModel

from tests.api.conftest import Serve
from tests.api.test_openai_client import client_of
from tests.fakes import ScriptedDecoder


async def test_a_plain_response(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder("Paris."))) as client:
        answer = await client.responses.create(model="fake-model", input="Capital of France?", temperature=0)
    assert (answer.output_text, answer.status) == ("Paris.", "completed")
    assert answer.usage is not None
    assert answer.usage.output_tokens == 7


async def test_a_raw_stream(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder("Paris."))) as client:
        stream = await client.responses.create(model="fake-model", input="Capital?", temperature=0, stream=True)
        events = [event async for event in stream]
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 6,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_a_gathered_stream(serve: Serve) -> None:
    async with (
        client_of(serve(ScriptedDecoder("Paris."))) as client,
        client.responses.stream(model="fake-model", input="Capital?", temperature=0) as stream,
    ):
        snapshots = [event.snapshot async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert snapshots == ["P", "Pa", "Par", "Pari", "Paris", "Paris."]
    assert final.output_text == "Paris."


async def test_the_output_is_the_next_input(serve: Serve) -> None:
    decoder = ScriptedDecoder("Paris.")
    async with client_of(serve(decoder)) as client:
        first = await client.responses.create(model="fake-model", input="Capital?", temperature=0)
        items = [{"role": "user", "content": "Capital?"}, *first.output, {"role": "user", "content": "And Spain's?"}]
        second = await client.responses.create(model="fake-model", input=items, temperature=0)
    assert second.output_text == "Paris."
    assert b"Capital?" in bytes(i for i in decoder.prompts[1] if i < 256)
    assert b"Paris." in bytes(i for i in decoder.prompts[1] if i < 256)


WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'


async def test_a_round_trip_with_a_function(serve: Serve) -> None:
    decoder = ScriptedDecoder(f"I look.\n{CALL}")
    question = {"role": "user", "content": "Weather in Paris?"}
    async with client_of(serve(decoder)) as client:
        first = await client.responses.create(model="fake-model", input=[question], tools=[WEATHER], temperature=0)
        text, call = first.output
        assert (first.status, first.output_text) == ("completed", "I look.")
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 21 degrees"}
        items = [question, text, call, result]
        await client.responses.create(model="fake-model", input=items, tools=[WEATHER], temperature=0)
    prompt = bytes(i for i in decoder.prompts[1] if i < 256).decode()
    assert [prompt.count(text) for text in ("The weather in a city.", "I look.", "sunny, 21 degrees")] == [1, 1, 1]


async def test_arguments_are_streamed_as_they_are_generated(serve: Serve) -> None:
    async with (
        client_of(serve(ScriptedDecoder(CALL))) as client,
        client.responses.stream(
            model="fake-model", input="Weather?", tools=[WEATHER], tool_choice="required", temperature=0
        ) as stream,
    ):
        deltas = [event.delta async for event in stream if event.type == "response.function_call_arguments.delta"]
        final = await stream.get_final_response()
    assert len(deltas) > 5
    assert "".join(deltas) == final.output[0].arguments
    assert final.output[0].parsed_arguments == {"city": "Paris"}


class Weather(BaseModel):
    city: str
    degrees: int


async def test_a_parsed_answer(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder('{"city": "Paris", "degrees": 21}'))) as client:
        answer = await client.responses.parse(
            model="fake-model", input="Weather?", text_format=Weather, temperature=0, max_output_tokens=100
        )
        assert answer.output_parsed == Weather(city="Paris", degrees=21)
        async with client.responses.stream(
            model="fake-model", input="Weather?", text_format=Weather, temperature=0
        ) as stream:
            final = await stream.get_final_response()
    assert final.output_parsed == answer.output_parsed


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        (
            {"tools": [{**WEATHER, "parameters": {"type": "object", "properties": {"x": {"not": {}}}}}]},
            "tools[0].parameters",
        ),
        (
            {"text": {"format": {"type": "json_schema", "name": "s", "schema": {"not": {}}}}},
            "text.format.schema",
        ),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "other"}}, "tool_choice"),
        ({"reasoning": {"effort": "high"}}, "reasoning.effort"),
    ],
    ids=["tool", "format", "no tool", "other tool", "effort"],
)
async def test_what_the_model_cannot_do_is_refused_by_its_name_here(
    serve: Serve, sent: dict[str, object], param: str
) -> None:
    async with client_of(serve()) as client:
        with pytest.raises(BadRequestError) as caught:
            await client.responses.create(model="fake-model", input="hi", **sent)
    assert caught.value.param == param


async def test_what_cannot_be_honoured_is_the_clients_own_exception(serve: Serve) -> None:
    async with client_of(serve()) as client:
        with pytest.raises(BadRequestError) as caught:
            await client.responses.create(model="fake-model", input="hi", previous_response_id="resp_1")
        assert (caught.value.param, caught.value.code) == ("previous_response_id", "unsupported_parameter")
        with pytest.raises(BadRequestError, match="store"):
            await client.responses.create(model="fake-model", input="hi", store=True)


async def test_a_stream_that_breaks_ends_as_failed(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder("Paris.", fail_at=2))) as client:
        stream = await client.responses.create(model="fake-model", input="Capital?", temperature=0, stream=True)
        events = [event async for event in stream]
    assert [event.type for event in events[-2:]] == ["error", "response.failed"]
