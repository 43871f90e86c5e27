"""CORS as the Function URL does it, and that without a configuration the function does it."""

import json
from pathlib import Path

import pytest

from lambda_local.cors import Cors, preflight_headers, read_cors, with_cors
from lambda_local.event import HttpRequest
from tests.lambda_local.conftest import Open
from tests.lambda_local.stage import script

CONFIGURED = Cors(
    allow_origins=("https://a.example",),
    allow_methods=("GET", "POST"),
    allow_headers=("authorization", "content-type"),
    expose_headers=("x-request-id",),
    allow_credentials=True,
    max_age=300,
)
ASK = {"origin": "https://a.example", "access-control-request-method": "POST"}


def asking(origin: str) -> HttpRequest:
    return HttpRequest(method="OPTIONS", target="/", headers=[("origin", origin)])


def test_a_preflight_from_an_allowed_origin() -> None:
    assert preflight_headers(CONFIGURED, asking("https://a.example")) == {
        "access-control-allow-origin": "https://a.example",
        "vary": "Origin",
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "authorization,content-type",
        "access-control-max-age": "300",
    }


def test_a_preflight_from_another_origin_gets_nothing() -> None:
    assert preflight_headers(CONFIGURED, asking("https://b.example")) == {}


def test_the_configured_headers_win_over_the_functions() -> None:
    cors = Cors(allow_origins=("*",), expose_headers=("x-a",))
    assert with_cors(cors, asking("https://a.example"), {"access-control-allow-origin": "https://x", "x-b": "1"}) == {
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "x-a",
        "x-b": "1",
    }


def test_read_from_json_and_from_a_file(tmp_path: Path) -> None:
    text = json.dumps({"AllowOrigins": ["*"], "MaxAge": 5})
    file = tmp_path / "cors.json"
    file.write_text(text, encoding="utf-8")
    assert read_cors(text) == read_cors(str(file)) == Cors(allow_origins=("*",), max_age=5)


def test_an_unknown_property_is_named() -> None:
    with pytest.raises(ValueError, match="AllowOrigin; known: AllowOrigins"):
        read_cors('{"AllowOrigin": ["*"]}')


async def test_a_configured_url_answers_the_preflight_itself(open_url: Open) -> None:
    async with open_url(cors=CONFIGURED) as (url, client):
        answer = await client.options("/v1", headers=ASK)
        assert (answer.status_code, answer.headers["access-control-max-age"]) == (200, "300")
        assert url.reports == []
        answer = await client.get("/", headers={"origin": "https://a.example", **script(("prelude", {}), "end")})
        assert answer.headers["access-control-allow-origin"] == "https://a.example"


async def test_without_a_configuration_options_reaches_the_function(open_url: Open) -> None:
    async with open_url() as (_, client):
        answer = await client.options("/v1", headers=ASK)
        assert answer.json()["event"]["requestContext"]["http"]["method"] == "OPTIONS"
        assert "access-control-allow-origin" not in answer.headers
