"""A key's tokens per day through the local Lambda, counted in DynamoDB: settled when the invocation ends, however."""

import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from lambda_local.function import Function
from lambda_local.function_url import FunctionUrl
from tests.aws.cloud import Cloud, cloud
from tests.e2e.conftest import MODEL

KEY = "sk-of-alice-with-a-limit"
TOKENS_PER_DAY = 5000


@pytest.fixture
def account() -> Iterator[Cloud]:
    with cloud() as made:
        made.create_quota_table()
        yield made


def used(account: Cloud) -> int:
    """All tokens that are counted; a test that runs at midnight has two days."""
    items = account.client("dynamodb").scan(TableName="quotas")["Items"]
    return sum(int(item["used"]["N"]) for item in items if item["counter"]["S"].startswith("alice/tokens/"))


@asynccontextmanager
async def endpoint(account: Cloud, model: Path, **settings: str) -> AsyncIterator[tuple[FunctionUrl, Any]]:
    keys = json.dumps([{"name": "alice", "key": KEY, "tokens_per_day": TOKENS_PER_DAY}])
    env = {
        "LLM_MODEL": str(model),
        "LLM_API_KEYS": keys,
        "LLM_QUOTA_TABLE": "quotas",
        **account.environment,
        **settings,
    }
    function = Function(command=[sys.executable, "-m", "handler"], timeout=60.0, init_timeout=60.0, env=env)
    async with (
        FunctionUrl(function) as url,
        openai.AsyncOpenAI(base_url=url.base_url + "/v1", api_key=KEY, max_retries=0) as client,
    ):
        yield url, client


@pytest.mark.parametrize("mode", ["stream", "buffered"])
async def test_what_is_counted_is_what_was_used(account: Cloud, default_model: Path, mode: str) -> None:
    async with endpoint(account, default_model, LLM_MODE=mode) as (url, client):
        body = {"model": MODEL, "max_completion_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}
        answer = await client.chat.completions.create(**body)
        await url.settled()
        assert used(account) == answer.usage.total_tokens
        stream = await client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True})
        chunks = [chunk async for chunk in stream]
        await url.settled()
        assert used(account) == answer.usage.total_tokens + chunks[-1].usage.total_tokens
        with pytest.raises(openai.RateLimitError, match="a limit of 5000 tokens per day"):
            await client.chat.completions.create(**{**body, "max_completion_tokens": TOKENS_PER_DAY})


async def test_a_client_that_leaves_has_used_what_was_made(account: Cloud, default_model: Path) -> None:
    async with endpoint(account, default_model) as (url, client):
        stream = await client.chat.completions.create(
            model=MODEL,
            max_completion_tokens=4000,
            messages=[{"role": "user", "content": "Tell me a very long story."}],
            extra_body={"ignore_eos": True},
            stream=True,
        )
        for _ in range(5):
            await anext(stream)
        assert used(account) > 4000
        await stream.close()
        await url.settled()
        assert 0 < used(account) < 4000
