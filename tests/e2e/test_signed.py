"""The SigV4 recipe of the documentation: the official client, sync and async, before a URL that verifies signatures."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from botocore.credentials import Credentials as Botocore

from docs.examples.sigv4 import SigV4
from lambda_local.function import Function
from lambda_local.function_url import FunctionUrl
from lambda_local.sigv4 import MISMATCH, Credentials
from tests.e2e.conftest import MODEL

ALICE = Credentials(access_key="AKIDALICE", secret_key="secret-of-alice")
ROLE = Credentials(access_key="ASIAROLE", secret_key="secret-of-role", session_token="token/of+role=")
REGION = "us-east-1"
ASK: dict[str, Any] = {
    "model": MODEL,
    "temperature": 0,
    "max_completion_tokens": 12,
    "messages": [{"role": "user", "content": "What is the capital of France? Ünïcode, too."}],
}


def auth(who: Credentials) -> SigV4:
    return SigV4(REGION, credentials=Botocore(who.access_key, who.secret_key, who.session_token))


@pytest.fixture
async def base_url(default_model: Path) -> AsyncIterator[str]:
    env = {"LLM_MODEL": str(default_model)}
    function = Function(command=[sys.executable, "-m", "handler"], timeout=60.0, init_timeout=60.0, env=env)
    async with FunctionUrl(function, auth="AWS_IAM", credentials=(ALICE, ROLE)) as url:
        yield f"{url.base_url}/v1"


CLIENTS = {
    "the SDK's": (openai.DefaultHttpxClient, openai.DefaultAsyncHttpxClient),
    "httpx": (httpx.Client, httpx.AsyncClient),
}


@pytest.mark.parametrize(("http_client", "async_http_client"), CLIENTS.values(), ids=CLIENTS)
async def test_the_official_client_signs_everything_it_sends(
    base_url: str, http_client: Callable[..., Any], async_http_client: Callable[..., Any]
) -> None:
    def sync(use: Callable[[openai.OpenAI], Any], who: Credentials) -> Any:
        with (
            http_client(auth=auth(who), timeout=60) as http,
            openai.OpenAI(base_url=base_url, api_key="unused", http_client=http, max_retries=0) as client,
        ):
            return use(client)

    def text_of_stream(client: openai.OpenAI) -> str:
        return "".join(
            chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**ASK, stream=True)
        )

    def text(client: openai.OpenAI) -> str | None:
        return client.chat.completions.create(**ASK).choices[0].message.content

    whole = await asyncio.to_thread(sync, text, ALICE)
    assert whole
    assert await asyncio.to_thread(sync, text_of_stream, ROLE) == whole
    assert await asyncio.to_thread(sync, lambda client: client.models.retrieve(MODEL).id, ALICE) == MODEL
    async with (
        async_http_client(auth=auth(ROLE), timeout=60) as http,
        openai.AsyncOpenAI(base_url=base_url, api_key="unused", http_client=http, max_retries=0) as client,
    ):
        answer = await client.chat.completions.create(**ASK)
        stream = await client.chat.completions.create(**ASK, stream=True)
        streamed = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert (answer.choices[0].message.content, streamed) == (whole, whole)


async def test_who_signs_with_another_secret_is_refused_in_awss_words(base_url: str) -> None:
    mallory = Credentials(access_key=ALICE.access_key, secret_key="guessed")
    async with (
        openai.DefaultAsyncHttpxClient(auth=auth(mallory)) as http,
        openai.AsyncOpenAI(base_url=base_url, api_key="unused", http_client=http, max_retries=0) as client,
    ):
        with pytest.raises(openai.PermissionDeniedError) as caught:
            await client.chat.completions.create(**ASK)
    assert (caught.value.status_code, caught.value.response.json()) == (403, {"message": MISMATCH})


async def test_who_does_not_sign_is_refused(base_url: str) -> None:
    async with httpx.AsyncClient() as client:
        refused = await client.get(f"{base_url}/models", headers={"authorization": "Bearer key"})
    assert (refused.status_code, refused.json()) == (403, {"Message": "Forbidden"})


def test_without_credentials_the_recipe_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(LookupError, match="no AWS credentials: set AWS_ACCESS_KEY_ID"):
        SigV4(REGION)
