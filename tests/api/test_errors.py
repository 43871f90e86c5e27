"""Failures over HTTP: always OpenAI's shape, always the right status and headers, never a secret."""

import json
import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from handler.api.app import ApiConfig, create_app
from tests.api.conftest import MakeClient
from tests.fakes import ScriptedDecoder, chat_service

HI = {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}]}
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "param", "code"),
    [
        ("POST", CHAT, JSON, b"{", 400, None, "invalid_json"),
        ("POST", CHAT, JSON, b'{"model":"fake-model","model":"x"}', 400, None, "invalid_json"),
        ("POST", CHAT, JSON, b"", 400, None, "invalid_json"),
        ("POST", CHAT, JSON, b"{}", 400, "model", "missing_required_parameter"),
        ("POST", CHAT, JSON, {**HI, "model": "gpt-4o"}, 404, "model", "model_not_found"),
        ("POST", CHAT, JSON, {**HI, "temperature": 3}, 400, "temperature", "decimal_above_max_value"),
        ("POST", CHAT, JSON, {**HI, "foo": 1}, 400, "foo", "unknown_parameter"),
        ("POST", CHAT, JSON, {**HI, "n": 9}, 400, "n", "integer_above_max_value"),
        ("POST", CHAT, JSON, {**HI, "logit_bias": {"9999": 1}}, 400, "logit_bias", "invalid_value"),
        ("POST", CHAT, JSON, {**HI, "messages": [{"role": "user", "content": "x" * 5000}]}, 400, "messages", None),
        ("POST", CHAT, FORM, b"a=b", 415, None, "unsupported_media_type"),
        ("POST", CHAT, {"content-encoding": "gzip"}, b"x", 415, None, "unsupported_media_type"),
        ("POST", CHAT, JSON, b" " * 70_000, 413, None, "request_too_large"),
        ("GET", CHAT, {}, b"", 405, None, "method_not_allowed"),
        ("GET", "/v1/nowhere", {}, b"", 404, None, "unknown_url"),
        ("GET", "/v1/models/", {}, b"", 404, "model", "model_not_found"),
        ("GET", "/v1/models/org/name", {}, b"", 404, "model", "model_not_found"),
        ("GET", "/docs", {}, b"", 404, None, "unknown_url"),
        ("GET", "/openapi.json", {}, b"", 404, None, "unknown_url"),
        ("POST", "/v1/chat/completions/", JSON, HI, 404, None, "unknown_url"),
        ("OPTIONS", "/v1/models", {}, b"", 405, None, "method_not_allowed"),
    ],
)
async def test_the_error_table(
    make_client: MakeClient,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes | dict[str, object],
    status: int,
    param: str | None,
    code: str | None,
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    client = make_client(config=ApiConfig(max_body_bytes=65_536))
    response = await client.request(method, path, headers=headers, content=content)
    assert response.status_code == status
    error = response.json()["error"]
    assert set(response.json()) == {"error"}
    assert list(error) == ["message", "type", "param", "code"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["code"] == (code or "context_length_exceeded")
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-should-retry"] == "false"
    assert response.headers["x-request-id"].startswith("req_")
    assert int(response.headers["openai-processing-ms"]) >= 0
    assert ("allow" in response.headers) == (status == 405)


async def test_overflow_is_told_in_openais_words(make_client: MakeClient) -> None:
    response = await make_client().post(CHAT, json={**HI, "messages": [{"role": "user", "content": "x" * 5000}]})
    message = response.json()["error"]["message"]
    assert message.startswith(
        "This model's maximum context length is 4096 tokens. However, your messages resulted in 50"
    )


async def test_json_is_read_whatever_the_content_type_says(make_client: MakeClient) -> None:
    for content_type in ("", "text/plain", "application/octet-stream", "nonsense"):
        response = await make_client().post(CHAT, content=json.dumps(HI), headers={"content-type": content_type})
        assert response.status_code == 200, content_type


async def test_an_oversized_body_without_a_length_is_refused_as_it_comes(make_client: MakeClient) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1000

    response = await make_client(config=ApiConfig(max_body_bytes=5000)).post(CHAT, content=body())
    assert response.status_code == 413


@pytest.mark.parametrize("stream", [False, True])
async def test_a_fault_of_ours_tells_the_caller_nothing_and_the_log_no_prompt(
    make_client: MakeClient, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "a very private question"
    body = {**HI, "messages": [{"role": "user", "content": secret}], "stream": stream}
    with caplog.at_level(logging.DEBUG):
        response = await make_client(ScriptedDecoder("Hello.", fail_at=0)).post(CHAT, json=body)
    told = response.text if not stream else response.text.strip().split("\n\n")[-1].removeprefix("data: ")
    assert json.loads(told) == {
        "error": {
            "message": "The server had an error while processing your request."
            " Its log says more under this request's id.",
            "type": "server_error",
            "param": None,
            "code": "internal_error",
        }
    }
    assert response.status_code == (200 if stream else 500)
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("handler")]
    entry = json.loads(line)
    assert (entry["request_id"], entry["error"]) == (response.headers["x-request-id"], "RuntimeError")
    assert (entry["level"], "tests/fakes.py" in entry["stack"][0]) == ("ERROR", True)
    assert secret not in line
    assert "scripted failure" not in line


async def test_a_preflight_that_the_settings_refuse_has_the_same_shape(make_client: MakeClient) -> None:
    headers = {"origin": "https://b.example", "access-control-request-method": "POST"}
    client = make_client(config=ApiConfig(cors_origins=("https://a.example",)))
    response: httpx.Response = await client.options(CHAT, headers=headers)
    assert response.status_code == 400
    assert list(response.json()["error"]) == ["message", "type", "param", "code"]
    assert "access-control-allow-origin" not in response.headers


async def test_an_operators_fault_is_not_told_to_the_caller() -> None:
    transport = httpx.ASGITransport(create_app({"fake-model": chat_service(template="{% endless")}))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.post(CHAT, json=HI)
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal_error"
    assert "Jinja" not in response.text
