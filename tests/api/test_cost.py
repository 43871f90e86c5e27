"""What callers are told of a request's cost, where the operator wants it: the same amount in header and body, in a
shape that the official client reads. Otherwise nothing."""

import json
import logging
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from handler.api.app import ApiConfig, create_app
from handler.bill import Bill
from handler.record import RequestLog
from tests.api.conftest import listening
from tests.embedding_fakes import NAME, embedding_service
from tests.fakes import chat_service

HI: Any = [{"role": "user", "content": "hi"}]
# Time is free here and a request costs a quarter, so that amounts can be compared.
QUARTER = Bill(gb_second=0.0, request=0.25, memory_mb=1024)
BODIES = {
    "/v1/chat/completions": {"messages": HI},
    "/v1/completions": {"prompt": "hi"},
    "/v1/responses": {"input": "hi"},
    "/v1/embeddings": {"input": "hi", "model": NAME},
}


def app(*, tells_cost: bool = True, bill: Bill | None = QUARTER) -> Any:
    log = RequestLog(bill=bill, tells_cost=tells_cost)
    return create_app({"fake-model": chat_service()}, ApiConfig(), embeddings={NAME: embedding_service()}, log=log)


async def post(path: str, served: Any, **more: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://test") as client:
        return await client.post(path, json={"model": "fake-model", **BODIES.get(path, {}), **more})


@pytest.mark.parametrize("path", BODIES)
async def test_a_whole_answer_tells_it_in_its_usage_and_in_a_header(path: str) -> None:
    answer = await post(path, app())
    assert (answer.json()["usage"]["cost"], answer.headers["x-cost-usd"]) == (0.25, "0.25")


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(("tells_cost", "bill"), [(False, QUARTER), (True, None)], ids=["not wanted", "not known"])
async def test_otherwise_nothing_is_told(path: str, tells_cost: bool, bill: Bill | None) -> None:
    answer = await post(path, app(tells_cost=tells_cost, bill=bill))
    assert "cost" not in answer.json()["usage"]
    assert "x-cost-usd" not in answer.headers


async def test_both_amounts_are_one_where_time_goes_on() -> None:
    answer = await post("/v1/chat/completions", app(bill=Bill(gb_second=1.0, request=0.0, memory_mb=1024)))
    assert answer.json()["usage"]["cost"] == float(answer.headers["x-cost-usd"]) > 0


@pytest.mark.parametrize(("path", "status"), [("/v1/chat/completions", 400), ("/nowhere", 404)])
async def test_a_refusal_costs_too(path: str, status: int) -> None:
    answer = await post(path, app(), temperature=3)
    assert (answer.status_code, answer.headers["x-cost-usd"]) == (status, "0.25")


async def test_the_official_client_reads_it() -> None:
    with listening(app()) as url:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
            whole = await client.chat.completions.create(model="fake-model", messages=HI)
            stream = await client.chat.completions.create(
                model="fake-model", messages=HI, stream=True, stream_options={"include_usage": True}
            )
            told = [chunk.usage.model_extra async for chunk in stream if chunk.usage]
            text = await client.completions.create(
                model="fake-model", prompt="hi", stream=True, stream_options={"include_usage": True}
            )
            told += [chunk.usage.model_extra async for chunk in text if chunk.usage]
            response = await client.responses.create(model="fake-model", input="hi")
            events = await client.responses.create(model="fake-model", input="hi", stream=True)
            told += [e.response.usage.model_extra async for e in events if e.type == "response.completed"]
    assert [whole.usage.model_extra, *told, response.usage.model_extra] == [{"cost": 0.25}] * 5


async def test_the_line_of_the_log_has_the_whole_cost(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "handler.access"):
        answer = await post("/v1/chat/completions", app(tells_cost=False))
    (line,) = [json.loads(record.getMessage()) for record in caplog.records if record.name == "handler.access"]
    assert (line["request_id"], line["cost_usd"]) == (answer.headers["x-request-id"], 0.25)
