"""The official OpenAI client and its Responses API over a real socket."""

import pytest
from openai import BadRequestError

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
