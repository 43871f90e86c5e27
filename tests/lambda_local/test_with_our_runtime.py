"""The emulator and our own Runtime API loop, one against the other: neither was written from the other's code."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from lambda_local.function import Function
from lambda_local.function_url import FunctionUrl
from tests.lambda_local.stage import Stage

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, str(Path(__file__).with_name("asgi_runtime.py")))


@pytest.fixture
async def url(stage: Stage, lines: list[str]) -> AsyncIterator[FunctionUrl]:
    env = {"STAGE": str(stage.port), "PYTHONPATH": str(ROOT)}
    async with FunctionUrl(Function(command=COMMAND, env=env, timeout=20), log=lines.append) as url:
        yield url


@pytest.fixture
async def client(url: FunctionUrl) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url.base_url, timeout=30) as client:
        yield client


async def test_bodies_queries_and_cookies_come_through(client: httpx.AsyncClient) -> None:
    for content_type in ("application/json", "application/octet-stream"):
        answer = await client.post("/echo?q=1&q=2", content=b'{"a": 1}', headers={"content-type": content_type})
        assert (answer.status_code, answer.content) == (200, b'q=1&q=2|{"a": 1}')
        assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize(("method", "status"), [("GET", 204), ("GET", 302), ("HEAD", 200)])
async def test_empty_bodies_end(client: httpx.AsyncClient, method: str, status: int) -> None:
    for _ in range(2):
        answer = await client.request(method, f"/empty/{status}")
        assert (answer.status_code, answer.content) == (status, b"")


async def test_chunks_are_flushed_one_by_one(client: httpx.AsyncClient, stage: Stage) -> None:
    async with client.stream("GET", "/stream") as response:
        chunks = response.aiter_raw()
        for expected in (b"a", b"b"):
            await stage.reached()
            stage.release()
            assert await anext(chunks) == expected
        assert [chunk async for chunk in chunks] == []


async def test_an_exception_before_the_first_byte_is_an_answer(client: httpx.AsyncClient) -> None:
    assert (await client.get("/raise/early")).status_code in (500, 502)
    assert (await client.get("/echo")).status_code == 200


async def test_an_exception_after_the_first_byte_cuts_by_trailer(url: FunctionUrl, client: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
        await client.get("/raise/late")
    assert (await client.get("/echo")).status_code == 200
    await url.settled()
    assert [report.error_type for report in url.reports] == ["RuntimeError", None]


async def test_a_client_that_leaves_stops_the_application(client: httpx.AsyncClient, stage: Stage) -> None:
    async with client.stream("GET", "/forever") as response:
        await anext(response.aiter_raw())
    await stage.reached()
    stage.release()
    assert (await client.get("/echo")).status_code == 200


async def test_a_kill_in_mid_answer_cuts_and_the_next_request_works(
    url: FunctionUrl, client: httpx.AsyncClient, stage: Stage
) -> None:
    async with client.stream("GET", "/stream") as response:
        await stage.reached()
        await url.kill_runtime()
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()
    assert (await client.get("/echo")).status_code == 200


async def test_one_process_is_given_as_many_invocations_at_once_as_it_takes(stage: Stage, lines: list[str]) -> None:
    env = {"STAGE": str(stage.port), "PYTHONPATH": str(ROOT)}
    function = Function(command=COMMAND, env=env, timeout=20, at_once=2)
    async with FunctionUrl(function, log=lines.append) as url, httpx.AsyncClient(base_url=url.base_url) as client:
        tasks = [asyncio.create_task(client.get("/stream")) for _ in range(2)]
        for _ in tasks:
            await stage.reached()  # both are under way before either may go on
        assert (len(url.reports), sum(task.done() for task in tasks)) == (0, 0)
        await url.kill_runtime()
        assert [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == [
            httpx.RemoteProtocolError,
            httpx.RemoteProtocolError,
        ]
        assert (await client.get("/echo")).status_code == 200
        await url.settled()
        assert sum(report.init_duration is not None for report in url.reports) == 2  # one init for both, one more
