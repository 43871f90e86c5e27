"""Keys: who gets in, and by which door."""

import json

import httpx
import pytest

from handler.api.app import ApiConfig
from handler.errors import Unavailable
from handler.keys import Key, KeyRing, StaticKeys, digest_of
from tests.api.conftest import MakeClient
from tests.fakes import accepting

KEYS = ApiConfig(keys=accepting("first", "sécond"))


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


async def test_the_log_names_the_key_and_never_shows_it(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    alice = Key(name="alice", digests=(digest_of(b"sk-of-alice"),))
    client = make_client(config=ApiConfig(keys=StaticKeys(KeyRing([alice]))))
    with caplog.at_level("INFO"):
        await client.get("/v1/models", headers={"x-api-key": "sk-of-alice"})
        await client.get("/v1/models", headers={"x-api-key": "sk-of-mallory"})
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "handler.access"]
    assert [(line["status"], line.get("key")) for line in lines] == [(200, "alice"), (401, None)]
    assert "sk-of" not in caplog.text


async def test_where_the_keys_cannot_be_known_nobody_is_let_in(make_client: MakeClient) -> None:
    class Unreachable:
        async def find(self, given: bytes, /) -> Key | None:
            del given
            raise Unavailable("The accepted keys are out of reach.", retry_after_seconds=5)

    client = make_client(config=ApiConfig(keys=Unreachable()))
    response = await client.get("/v1/models", headers={"x-api-key": "first"})
    assert (response.status_code, response.headers["retry-after"], response.headers["x-should-retry"]) == (
        503,
        "5",
        "true",
    )
    assert response.json() == {
        "error": {
            "message": "The accepted keys are out of reach.",
            "type": "server_error",
            "param": None,
            "code": "unavailable",
        }
    }
    assert (await client.get("/health")).status_code == 200
    assert (await client.get("/v1/models")).status_code == 401
