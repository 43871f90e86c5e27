"""`prediction` as the official client sends it: the same answer in fewer steps, and what became of the prediction."""

import pytest
from openai import AsyncOpenAI, BadRequestError

from tests.api.conftest import Serve
from tests.fakes import ScriptedDecoder

CODE = "def area(width, height):\n    return width * height\n"
RENAMED = CODE.replace("area", "surface")
ASKED = {
    "model": "fake-model",
    "messages": [{"role": "user", "content": "Rename the function."}],
    "temperature": 0,
}


def client_of(url: str) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)


async def test_an_answer_that_was_predicted_takes_fewer_steps(serve: Serve) -> None:
    plain, predicted = ScriptedDecoder(RENAMED), ScriptedDecoder(RENAMED)
    async with client_of(serve(plain)) as client:
        expected = await client.chat.completions.create(**ASKED)
    async with client_of(serve(predicted)) as client:
        answer = await client.chat.completions.create(**ASKED, prediction={"type": "content", "content": CODE})
    assert answer.choices == expected.choices
    assert answer.choices[0].message.content == RENAMED
    assert (answer.usage.completion_tokens, answer.usage.prompt_tokens) == (
        expected.usage.completion_tokens,
        expected.usage.prompt_tokens,
    )
    details, without = answer.usage.completion_tokens_details, expected.usage.completion_tokens_details
    assert (without.accepted_prediction_tokens, without.rejected_prediction_tokens) == (0, 0)
    assert len(CODE) * 0.6 < details.accepted_prediction_tokens < len(CODE)
    assert 0 < details.rejected_prediction_tokens < 15
    assert predicted.forward_calls * 2 < plain.forward_calls


async def test_a_stream_is_the_same_text_and_tells_the_same_counts(serve: Serve) -> None:
    asked = {**ASKED, "prediction": {"type": "content", "content": [{"type": "text", "text": CODE}]}}
    async with client_of(serve(ScriptedDecoder(RENAMED))) as client:
        whole = await client.chat.completions.create(**asked)
        stream = await client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
        *chunks, last = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == RENAMED
    assert last.usage == whole.usage


@pytest.mark.parametrize("content", ["", "Nothing of the kind.", "surface" * 2000], ids=["empty", "wrong", "too long"])
async def test_a_prediction_that_is_wrong_changes_nothing(serve: Serve, content: str) -> None:
    async with client_of(serve(ScriptedDecoder(RENAMED))) as client:
        answer = await client.chat.completions.create(**ASKED, prediction={"type": "content", "content": content})
    assert answer.choices[0].message.content == RENAMED


async def test_a_prediction_goes_with_one_choice(serve: Serve) -> None:
    async with client_of(serve()) as client:
        with pytest.raises(BadRequestError) as caught:
            await client.chat.completions.create(**ASKED, n=2, prediction={"type": "content", "content": CODE})
    assert caught.value.param == "prediction"
