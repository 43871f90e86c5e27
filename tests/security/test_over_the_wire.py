"""The same tricks as bytes on a socket, through the local Function URL and a runtime process of its own."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lambda_local.function import Function
from lambda_local.function_url import FunctionUrl
from tests.security.guarded_runtime import KEY
from tests.security.test_auth_bypass import TRICKS

ROOT = Path(__file__).parents[2]
RIGHT, WRONG = f"Authorization: Bearer {KEY}", "Authorization: Bearer wrong"


@pytest.fixture
async def url() -> AsyncIterator[FunctionUrl]:
    command = [sys.executable, "-m", "tests.security.guarded_runtime"]
    function = Function(command=command, timeout=60, init_timeout=60, env={"PYTHONPATH": str(ROOT)})
    async with FunctionUrl(function, log=lambda _line: None) as url:
        yield url


async def status(url: FunctionUrl, target: str, *headers: str) -> int:
    """What a request is answered that is written as given, with nothing put right."""
    head = "\r\n".join([f"GET {target} HTTP/1.1", "Host: h", "Connection: close", *headers, "", ""])
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.base_url.rpartition(":")[2]))
    writer.write(head.encode())
    answered = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answered.split(b" ", 2)[1])


async def test_paths_and_headers_as_they_are_written(url: FunctionUrl) -> None:
    assert {path: await status(url, path) for path in TRICKS} == dict.fromkeys(TRICKS, 401)
    assert await status(url, "/v1/models", RIGHT) == 200
    assert await status(url, "/v1/models", f"x-API-key:{KEY}") == 200
    assert await status(url, "/v1/models", WRONG, RIGHT) == 401
    assert await status(url, "/v1/models", RIGHT, WRONG) == 401
    # A space before the colon, a length twice: no HTTP, so refused before any key is looked at.
    assert await status(url, "/v1/models", RIGHT.replace(":", " :")) == 400
    assert await status(url, "/v1/models", "Content-Length: 0", "Content-Length: 1") == 400
    assert await status(url, "/health") == 200
