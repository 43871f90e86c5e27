"""The buffered handler, called as awslambdaric calls it."""

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

from handler.aws.asgi import Receive, Scope, Send
from handler.aws.buffered import BufferedHandler
from handler.aws.events import UnsupportedEvent
from tests.aws.fake_runtime_api import function_url
from tests.aws.tiny_app import app

CONTEXT = SimpleNamespace(aws_request_id="id-1", get_remaining_time_in_millis=lambda: 60_000)


async def handle(event: Any) -> dict[str, Any]:
    return await BufferedHandler(app, state={"started": 1}, margin_ms=1000)(event, CONTEXT)


def error(reply: dict[str, Any]) -> tuple[int, Any, dict[str, Any]]:
    return reply["statusCode"], reply["headers"].get("x-should-retry"), json.loads(reply["body"])["error"]


async def test_text_is_answered_as_text() -> None:
    assert await handle(function_url("/echo", "POST", "hé", rawQueryString="a=1")) == {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": '["POST", "a=1", "h\\u00e9", 1]',
        "isBase64Encoded": False,
    }


async def test_bytes_are_answered_as_base64() -> None:
    assert await handle(function_url("/binary")) == {
        "statusCode": 200,
        "headers": {"content-type": "image/png"},
        "body": "iVBOR/8=",
        "isBase64Encoded": True,
    }


async def test_a_stream_of_events_is_answered_as_one_text() -> None:
    reply = await handle(function_url("/sse"))
    assert (reply["body"], reply["isBase64Encoded"]) == ("data: é\n\ndata: [DONE]\n\n", False)


@pytest.mark.parametrize(("path", "method", "status"), [("/empty", "GET", 204), ("/echo", "HEAD", 200)])
async def test_an_empty_answer_is_empty(path: str, method: str, status: int) -> None:
    reply = await handle(function_url(path, method))
    assert (reply["statusCode"], reply["body"], reply["isBase64Encoded"]) == (status, "", False)


@pytest.mark.parametrize("path", ["/half", "/unknown"])
async def test_an_app_that_fails_is_a_500_that_quotes_nothing(path: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert error(await handle(function_url(path))) == (
        500,
        "false",
        {
            "message": "The server failed to answer; its log says why.",
            "type": "server_error",
            "param": None,
            "code": "internal_error",
        },
    )
    [record] = caplog.records
    line = json.loads(record.getMessage())
    assert (line["level"], line["error"]) == ("ERROR", "LookupError")
    assert line["stack"][0].endswith(" app")
    assert "quotes a prompt" not in record.getMessage()


async def test_an_answer_above_lambdas_limit_is_an_error_that_says_what_to_do() -> None:
    status, retry, content = error(await handle(function_url("/large")))
    assert (status, retry, content["code"]) == (500, "false", "response_too_large")
    assert "ask for fewer tokens" in content["message"]


async def test_a_body_that_is_not_base64_is_a_400() -> None:
    status, retry, content = error(await handle(function_url("/echo", "POST", "%%%", isBase64Encoded=True)))
    assert (status, retry, content["code"]) == (400, "false", "invalid_value")


@pytest.mark.parametrize("event", [{}, [], "text", None, b"no json", function_url("/echo", body=1)])
async def test_another_event_is_refused(event: Any) -> None:
    with pytest.raises(UnsupportedEvent, match="This function answers HTTP events"):
        await handle(event)


async def test_the_deadline_is_in_the_state() -> None:
    seen: list[float] = []

    async def clocked(scope: Scope, _receive: Receive, send: Send) -> None:
        seen.append(scope["state"]["deadline"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    await BufferedHandler(clocked, state={}, margin_ms=1000)(function_url(), CONTEXT)
    assert seen == [pytest.approx(time.monotonic() + 59, abs=5)]


async def test_one_line_is_logged_and_holds_no_body(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    await handle(function_url("/echo", "POST", "secret"))
    [record] = caplog.records
    line = json.loads(record.getMessage())
    assert line.pop("request_id").startswith("req_")
    assert line.pop("timestamp").endswith("Z")
    assert line.pop("ms") >= 0
    assert line == {
        "event": "request",
        "level": "INFO",
        "aws_request_id": "id-1",
        "source": "Function URL",
        "status": 200,
        "bytes": 25,
        "cold": True,
    }
