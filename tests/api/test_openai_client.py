"""The official OpenAI client over a real socket: what it reads is what was meant."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from openai import (
    APIError,
    AsyncOpenAI,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
)

from handler.api.app import ApiConfig
from tests.api.conftest import Serve
from tests.fakes import ScriptedDecoder, accepting

HI = [{"role": "user", "content": "What is the capital of France?"}]


def client_of(url: str, key: str = "k") -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)


async def test_a_plain_answer(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder("Paris."))) as client:
        answer = await client.chat.completions.create(model="fake-model", messages=HI, temperature=0)
    assert answer.choices[0].message.content == "Paris."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.completion_tokens, answer.usage.total_tokens) == (7, answer.usage.prompt_tokens + 7)
    assert answer.id.startswith("chatcmpl-")


@dataclass
class GatedDecoder(ScriptedDecoder):
    """Computes a step only once it is allowed to."""

    allowed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def row(self, step: int) -> Mapping[int, float]:
        assert self.allowed.acquire(timeout=30)
        return super().row(step)


async def test_each_token_arrives_before_the_next_is_computed(serve: Serve) -> None:
    text = "Rome!"  # no two letters of it stand in the prompt: nothing is guessed ahead
    decoder = GatedDecoder(text)
    async with client_of(serve(decoder)) as client:
        stream = await client.chat.completions.create(
            model="fake-model", messages=HI, temperature=0, stream=True, stream_options={"include_usage": True}
        )
        # The first chunk is there before the prompt has been run.
        contents = [(await anext(stream)).choices[0].delta.content]
        for _ in text:
            decoder.allowed.release()
            contents.append((await anext(stream)).choices[0].delta.content)
        decoder.allowed.release()
        finish, usage = [chunk async for chunk in stream]
    assert contents == ["", *text]
    assert (finish.choices[0].finish_reason, finish.choices[0].delta.content) == ("stop", None)
    assert usage.choices == []
    assert usage.usage is not None
    assert usage.usage.completion_tokens == 6


async def test_log_probabilities(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder("é"))) as client:
        answer = await client.chat.completions.create(
            model="fake-model", messages=HI, temperature=0, logprobs=True, top_logprobs=3
        )
    content = answer.choices[0].logprobs.content
    assert bytes(byte for token in content for byte in token.bytes).decode() == "é"
    assert [len(token.top_logprobs) for token in content] == [3] * len(content)


async def test_several_choices(serve: Serve) -> None:
    async with client_of(serve(ScriptedDecoder("Paris."))) as client:
        answer = await client.chat.completions.create(
            model="fake-model", messages=HI, temperature=0, n=3, logprobs=True, top_logprobs=1
        )
        async with client.chat.completions.stream(
            model="fake-model", messages=HI, temperature=0, n=3, stream_options={"include_usage": True}
        ) as stream:
            events = [event async for event in stream]
            streamed = await stream.get_final_completion()
    for whole in (answer, streamed):
        assert [choice.index for choice in whole.choices] == [0, 1, 2]
        assert [choice.message.content for choice in whole.choices] == ["Paris."] * 3
        assert [choice.finish_reason for choice in whole.choices] == ["stop"] * 3
        assert whole.usage.completion_tokens == 21
        assert whole.usage.prompt_tokens == answer.usage.prompt_tokens
    assert [len(choice.logprobs.content) for choice in answer.choices] == [6] * 3
    roles = [event.chunk for event in events if event.type == "chunk"][:3]
    assert [(chunk.choices[0].index, chunk.choices[0].delta.role) for chunk in roles] == [
        (0, "assistant"),
        (1, "assistant"),
        (2, "assistant"),
    ]


async def test_models(serve: Serve) -> None:
    async with client_of(serve()) as client:
        assert [model.id async for model in client.models.list()] == ["fake-model"]
        assert (await client.models.retrieve("fake-model")).owned_by == "lambda-llm"
        with pytest.raises(NotFoundError):
            await client.models.retrieve("gpt-4o")


async def test_failures_are_the_clients_own_exceptions(serve: Serve) -> None:
    url = serve(ScriptedDecoder("Hello.", fail_at=2), ApiConfig(keys=accepting("k")))
    async with client_of(url) as client:
        with pytest.raises(BadRequestError) as caught:
            await client.chat.completions.create(model="fake-model", messages=HI, modalities=["audio"])
        assert (caught.value.param, caught.value.code) == ("modalities", "unsupported_value")
        with pytest.raises(InternalServerError):
            await client.chat.completions.create(model="fake-model", messages=HI, temperature=0)
        stream = await client.chat.completions.create(model="fake-model", messages=HI, temperature=0, stream=True)
        with pytest.raises(APIError, match="The server had an error"):
            [chunk async for chunk in stream]
    async with client_of(url, "wrong") as client:
        with pytest.raises(AuthenticationError):
            await client.models.list()


async def test_a_busy_server_is_tried_again(serve: Serve) -> None:
    url = serve(ScriptedDecoder("x" * 300, step_seconds=0.002), ApiConfig(max_concurrency=1))
    async with client_of(url) as client:
        stream = await client.chat.completions.create(model="fake-model", messages=HI, temperature=0, stream=True)
        with pytest.raises(RateLimitError):
            await client.chat.completions.create(model="fake-model", messages=HI, max_tokens=1)
        patient = client.with_options(max_retries=5)
        answer = await patient.chat.completions.create(model="fake-model", messages=HI, max_tokens=1, temperature=0)
        assert answer.choices[0].message.content == "x"
        await stream.close()
