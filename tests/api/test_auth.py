"""Keys: who gets in, and by which door."""

import httpx
import pytest

from handler.api.app import ApiConfig
from handler.api.auth import KeyRing
from tests.api.conftest import MakeClient

KEYS = ApiConfig(api_keys=("first", "sécond"))


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer first"},
        {"authorization": "bearer  first "},
        {"authorization": "Bearer sécond".encode()},
        {"x-api-key": "first"},
        {"authorization": "AWS4-HMAC-SHA256 Credential=x", "x-api-key": "first"},
    ],
    ids=str,
)
async def test_every_key_opens(make_client: MakeClient, headers: dict[str, str | bytes]) -> None:
    response = await make_client(config=KEYS).get("/v1/models", headers=list(headers.items()))
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "You didn't provide an API key. Send it as a header: Authorization: Bearer YOUR_KEY."),
        (
            {"authorization": "first"},
            "You didn't provide an API key. Send it as a header: Authorization: Bearer YOUR_KEY.",
        ),
        ({"authorization": "Bearer firs"}, "Incorrect API key provided."),
        ({"authorization": "Bearer first2"}, "Incorrect API key provided."),
        ({"authorization": "Bearer wrong", "x-api-key": "first"}, "Incorrect API key provided."),
        ({"x-api-key": "FIRST"}, "Incorrect API key provided."),
    ],
    ids=str,
)
async def test_nothing_else_opens(make_client: MakeClient, headers: dict[str, str], message: str) -> None:
    # Neither an unknown path nor a broken body is looked at first.
    for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/nowhere")):
        response = await make_client(config=KEYS).request(method, path, headers=headers, content=b"{")
        assert response.status_code == 401
        assert response.json() == {
            "error": {
                "message": message,
                "type": "invalid_request_error",
                "param": None,
                "code": "invalid_api_key",
            }
        }
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.headers["x-should-retry"] == "false"


async def test_health_the_page_and_preflight_need_no_key(make_client: MakeClient) -> None:
    client = make_client(config=KEYS)
    preflight = {"origin": "https://a.example", "access-control-request-method": "POST"}
    responses: list[httpx.Response] = [
        await client.get("/health"),
        await client.get("/"),
        await client.options("/v1/chat/completions", headers=preflight),
    ]
    assert [response.status_code for response in responses] == [200, 200, 200]


async def test_without_keys_everything_is_open(make_client: MakeClient) -> None:
    response = await make_client().get("/v1/models", headers={"authorization": "Bearer anything"})
    assert response.status_code == 200


def test_the_ring_keeps_no_key_in_the_clear() -> None:
    assert b"first" not in repr(vars(KeyRing(["first"]))).encode()
