"""The small endpoints: models, health, the page; and what every response carries."""

import re

import httpx
import pytest

from handler.api.app import ApiConfig, create_app
from handler.api.middleware import EXPOSED_HEADERS
from handler.api.routes.page import content_security_policy
from tests.api.conftest import MakeClient
from tests.fakes import chat_service


async def test_models_are_listed_by_id_and_alias() -> None:
    service = chat_service(name="org/name")
    transport = httpx.ASGITransport(create_app({"org/name": service, "short": service}))
    described = [
        {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "lambda-llm", "max_model_len": 4096}
        for name in ("org/name", "short")
    ]
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/v1/models")).json() == {"object": "list", "data": described}
        assert (await client.get("/v1/models/org/name")).json() == described[0]
        assert (await client.get("/v1/models/short")).json() == described[1]
        body = {"model": "short", "messages": [{"role": "user", "content": "hi"}]}
        assert (await client.post("/v1/chat/completions", json=body)).json()["model"] == "short"


async def test_health(make_client: MakeClient) -> None:
    response = await make_client().get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})


@pytest.mark.parametrize("path", ["/", "/health", "/v1/models", "/v1/models/fake-model"])
async def test_head_has_the_headers_of_get_and_no_body(make_client: MakeClient, path: str) -> None:
    client = make_client()
    head, get = await client.head(path), await client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_every_response_has_a_fresh_id_and_its_time(make_client: MakeClient) -> None:
    client = make_client()
    responses = [await client.get(path) for path in ("/health", "/health", "/nowhere")]
    ids = [response.headers["x-request-id"] for response in responses]
    assert all(re.fullmatch(r"req_[0-9a-f]{32}", name) for name in ids)
    assert len(set(ids)) == 3
    assert all(response.headers["openai-processing-ms"].isdigit() for response in responses)


async def test_browsers_may_call_and_read_our_headers(make_client: MakeClient) -> None:
    client = make_client()
    preflight = await client.options(
        "/v1/chat/completions",
        headers={
            "origin": "https://a.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, content-type, x-stainless-os",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert preflight.headers["access-control-allow-headers"] == "authorization, content-type, x-stainless-os"
    for path in ("/v1/models", "/nowhere"):
        response = await client.get(path, headers={"origin": "https://a.example"})
        assert response.headers["access-control-allow-origin"] == "*"
        assert set(EXPOSED_HEADERS) == set(response.headers["access-control-expose-headers"].split(", "))


async def test_cors_can_be_off(make_client: MakeClient) -> None:
    response = await make_client(config=ApiConfig(cors_origins=())).get("/health", headers={"origin": "https://a"})
    assert not any(name.startswith("access-control") for name in response.headers)


async def test_the_page_needs_nothing_from_elsewhere(make_client: MakeClient) -> None:
    response = await make_client().get("/")
    policy = response.headers["content-security-policy"]
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert policy == content_security_policy(response.text)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"https?://|<script [^>]*src|style=|onclick=|localStorage|sessionStorage", response.text)
