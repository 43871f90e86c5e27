"""Completions through the official OpenAI client over a real socket, in strict mode where its types allow it."""

import pytest
from openai import AsyncOpenAI, BadRequestError, OpenAI

from tests.api.conftest import Serve
from tests.fakes import ScriptedDecoder


def client_of(url: str, *, strict: bool = True) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0, _strict_response_validation=strict)


async def test_a_completion(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder("Paris."))) as client:
        answer = await client.completions.create(model="fake-model", prompt="Capital of France:", temperature=0)
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("Paris.", "stop")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (18, 7)
    assert answer.id.startswith("cmpl-")


async def test_token_arrays_and_several_choices(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder("!"))) as client:
        answer = await client.completions.create(
            model="fake-model", prompt=[[97], [98, 99]], n=2, echo=True, logprobs=None, best_of=2
        )
    assert [(choice.index, choice.text) for choice in answer.choices] == [(0, "a!"), (1, "a!"), (2, "bc!"), (3, "bc!")]


async def test_log_probabilities(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder("né"))) as client:
        answer = await client.completions.create(model="fake-model", prompt="x", temperature=0, logprobs=5)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens == ["n", "bytes:\\xc3", "bytes:\\xa9"]
    assert logprobs.top_logprobs is not None
    assert [len(top) for top in logprobs.top_logprobs] == [5, 5, 5]


async def test_a_stream(serve: Serve) -> None:
    # The package's type has no null for a choice that goes on: OpenAI's own streams fail its strict mode too.
    async with client_of(serve(ScriptedDecoder("Paris.")), strict=False) as client:
        stream = await client.completions.create(
            model="fake-model", prompt="x", temperature=0, stream=True, stream_options={"include_usage": True}
        )
        *told, usage = [chunk async for chunk in stream]
    assert [chunk.choices[0].text for chunk in told] == [*"Paris.", ""]
    assert told[-1].choices[0].finish_reason == "stop"
    assert (usage.choices, usage.usage and usage.usage.completion_tokens) == ([], 7)


async def test_a_refusal_is_the_clients_own_exception(serve: Serve) -> None:
    async with client_of(serve()) as client:
        with pytest.raises(BadRequestError) as caught:
            await client.completions.create(model="fake-model", prompt="x", suffix="y")
    assert (caught.value.param, caught.value.code) == ("suffix", "unsupported_parameter")


def test_as_llama_index_asks(serve: Serve) -> None:
    """LlamaIndex's OpenAILike, which flattens a chat to one text unless it is told of a chat model."""
    decoder = ScriptedDecoder("Paris.")
    flat = "user: What is the capital of France?\nassistant: "
    asked = {"model": "fake-model", "prompt": flat, "temperature": 0.1, "max_tokens": 32, "logit_bias": {"120": -100}}
    with OpenAI(base_url=f"{serve(decoder)}/v1", api_key="k") as client:
        whole = client.completions.create(**asked, stream=False).choices[0].text
        pieces = [chunk.choices[0].text for chunk in client.completions.create(**asked, stream=True) if chunk.choices]
    assert whole == "".join(pieces) == "Paris."
    assert decoder.prompts == [list(flat.encode())] * 2
