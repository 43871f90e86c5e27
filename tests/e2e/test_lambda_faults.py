"""What goes wrong on Lambda, with the real model behind the local Function URL: each ends well, and the next works."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import openai
import pytest

from lambda_local.function import Function
from lambda_local.function_url import FunctionUrl
from tests.e2e.conftest import MODEL

Open = Callable[..., AbstractAsyncContextManager[tuple[FunctionUrl, openai.AsyncOpenAI]]]
# Long enough to be interrupted: two thousand tokens take half a minute.
LONG = {
    "model": MODEL,
    "temperature": 0,
    "stream": True,
    "ignore_eos": True,
    "max_completion_tokens": 2000,
    "messages": [{"role": "user", "content": "Tell me a very long story."}],
}


@pytest.fixture
def open_url(default_model: Path) -> Open:
    @asynccontextmanager
    async def open_one(limit: float = 60.0, **settings: str) -> AsyncIterator[tuple[FunctionUrl, openai.AsyncOpenAI]]:
        env = {"LLM_MODEL": str(default_model), **settings}
        function = Function(command=[sys.executable, "-m", "handler"], timeout=limit, init_timeout=60.0, env=env)
        async with (
            FunctionUrl(function) as url,
            openai.AsyncOpenAI(base_url=url.base_url + "/v1", api_key="none", max_retries=0) as client,
        ):
            yield url, client

    return open_one


async def assert_the_next_request_works(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=MODEL, temperature=0, messages=[{"role": "user", "content": "What is the capital of France?"}]
    )
    assert "Paris" in (answer.choices[0].message.content or "")


async def first_tokens(
    client: openai.AsyncOpenAI, count: int
) -> openai.AsyncStream[openai.types.chat.ChatCompletionChunk]:
    """A long stream of which `count` chunks have been read."""
    body = {name: value for name, value in LONG.items() if name != "ignore_eos"}
    stream = await client.chat.completions.create(**body, extra_body={"ignore_eos": True})
    for _ in range(count):
        await anext(stream)
    return stream


async def test_a_killed_runtime_breaks_the_stream(open_url: Open) -> None:
    async with open_url() as (url, client):
        stream = await first_tokens(client, 5)
        await url.kill_runtime()
        with pytest.raises((openai.APIError, httpx.RemoteProtocolError)):
            async for _ in stream:
                pass
        await assert_the_next_request_works(client)


async def test_a_client_that_leaves_stops_the_computing(open_url: Open) -> None:
    async with open_url() as (url, client):
        stream = await first_tokens(client, 5)
        await stream.close()
        await url.settled()
        assert url.reports[-1].duration < 20_000  # ms; the whole answer would take longer than the function may
        await assert_the_next_request_works(client)


async def test_a_deadline_ends_the_answer_as_length_with_the_text_so_far(open_url: Open) -> None:
    async with open_url(limit=6.0, LLM_DEADLINE_MARGIN_MS="3000") as (_, client):
        stream = await first_tokens(client, 1)
        chunks = [chunk async for chunk in stream]
        assert chunks[-1].choices[0].finish_reason == "length"
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        await assert_the_next_request_works(client)


async def test_a_model_that_is_not_there_is_an_init_error(open_url: Open) -> None:
    async with open_url(LLM_MODEL="/nowhere") as (_, client):
        with pytest.raises(openai.InternalServerError):
            await client.models.list()
