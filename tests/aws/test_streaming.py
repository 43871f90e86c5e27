"""The loop as Lambda sees it: bytes of the Runtime API, chunk for chunk."""

import asyncio
import base64
import json
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from handler.aws.asgi import ASGIApp, Message, Receive, Scope, Send
from handler.aws.loop import serve_streaming
from handler.aws.runtime_client import RuntimeApiError
from tests.aws.fake_runtime_api import FakeRuntimeApi, Post, function_url

NULS = b"\0" * 8


@asynccontextmanager
async def serving(app: ASGIApp, api: FakeRuntimeApi, **options: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(serve_streaming(app, runtime_api=api.address, **options))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def answers(app: ASGIApp, *events: Any, **options: Any) -> list[Post]:
    """What the Runtime API receives for each event, served one after the other."""
    async with FakeRuntimeApi() as api, serving(app, api, **options):
        posts = []
        for number, event in enumerate(events, 1):
            api.invoke(event, f"id-{number}")
            posts.append(await api.post())
        return posts


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def http(app: ASGIApp) -> ASGIApp:
    """An application that knows no lifespan."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await app(scope, receive, send)

    return wrapped


@http
async def three_pieces(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send(start(200, (b"content-type", b"text/event-stream")))
    for piece in (b"data: a\n\n", b"", b"data: b\n\n"):
        await send(body(piece, more=True))
    await send(body(b""))


async def test_each_body_message_is_one_chunk_of_a_streaming_post() -> None:
    async with FakeRuntimeApi() as api, serving(three_pieces, api):
        api.invoke(function_url())
        post = await api.post()
    head = b'{"statusCode": 200, "headers": {"content-type": "text/event-stream"}, "cookies": []}' + NULS
    assert post.raw.decode("latin-1") == (
        "POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\n"
        f"Host: {api.address}\r\n"
        "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
        "Transfer-Encoding: chunked\r\n"
        "Content-Type: application/vnd.awslambda.http-integration-response\r\n"
        "Trailer: Lambda-Runtime-Function-Error-Type\r\n"
        "Trailer: Lambda-Runtime-Function-Error-Body\r\n"
        "\r\n"
        f"{len(head):x}\r\n{head.decode()}\r\n"
        "9\r\ndata: a\n\n\r\n"
        "9\r\ndata: b\n\n\r\n"
        "0\r\n\r\n"
    )


async def test_a_chunk_has_arrived_before_the_next_one_is_made() -> None:
    go_on = asyncio.Event()

    @http
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for number in range(3):
            if number == 0:
                await send(start())
            await go_on.wait()
            go_on.clear()
            await send(body(b"%d" % number, more=number < 2))

    async with FakeRuntimeApi() as api, serving(app, api):
        api.invoke(function_url())
        seen = [await api.chunk()]
        for _ in range(3):
            go_on.set()
            seen.append(await api.chunk())
    assert seen == [b'{"statusCode": 200, "headers": {}, "cookies": []}' + NULS, b"0", b"1", b"2"]


@pytest.mark.parametrize(
    ("status", "method"), [(204, "POST"), (302, "GET"), (200, "HEAD"), (304, "GET")], ids=["204", "302", "HEAD", "304"]
)
async def test_an_empty_answer_is_a_prelude_and_an_end(status: int, method: str) -> None:
    @http
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start(status, (b"transfer-encoding", b"chunked")))
        await send(body(b"" if status == 302 else b"dropped"))

    [post] = await answers(app, function_url(method=method))
    assert (post.chunks, post.complete, post.trailers) == (
        [b'{"statusCode": %d, "headers": {}, "cookies": []}' % status + NULS],
        True,
        {},
    )


async def test_one_connection_serves_many_invocations() -> None:
    async with FakeRuntimeApi() as api, serving(three_pieces, api):
        for number in range(5):
            api.invoke(function_url(), f"id-{number}")
            await api.post()
        assert api.connections == 1


async def test_the_body_comes_once_and_then_receive_waits_for_the_end() -> None:
    seen: asyncio.Queue[Message] = asyncio.Queue()

    @http
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await seen.put(await receive())
        waiting = asyncio.create_task(receive())
        await asyncio.sleep(0)
        await seen.put({"waiting": not waiting.done()})
        await send(start())
        await send(body(b"x"))
        await seen.put(await waiting)

    async with FakeRuntimeApi() as api, serving(app, api):
        api.invoke(function_url(method="POST", body='{"a": 1}'))
        assert [await seen.get() for _ in range(3)] == [
            {"type": "http.request", "body": b'{"a": 1}', "more_body": False},
            {"waiting": True},
            {"type": "http.disconnect"},
        ]


class Boom(Exception):
    pass


@http
async def fails_midway(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"half", more=True))
    raise Boom("text that quotes a prompt")


async def test_a_failure_after_the_first_byte_travels_in_the_trailers_and_closes_the_connection() -> None:
    async with FakeRuntimeApi() as api, serving(fails_midway, api):
        api.invoke(function_url())
        post = await api.post()
        api.invoke(function_url(), "id-2")
        assert (await api.post()).path == "/invocation/id-2/response"
        assert api.connections == 2
    error = json.loads(base64.b64decode(post.trailers.pop("Lambda-Runtime-Function-Error-Body")))
    assert (post.chunks[1:], post.trailers, post.closed_after) == (
        [b"half"],
        {"Lambda-Runtime-Function-Error-Type": "Boom"},
        True,
    )
    assert (error["errorType"], error["errorMessage"]) == ("Boom", "Boom; its text is withheld, see the stack")
    assert error["stackTrace"][-1].endswith("fails_midway")


async def test_a_failure_before_the_first_byte_is_posted_as_an_error() -> None:
    @http
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise Boom("text that quotes a prompt")

    [post] = await answers(app, function_url())
    assert post.path == "/invocation/id-1/error"
    assert post.header("Content-Type") == ["application/vnd.aws.lambda.error+json"]
    assert post.header("Lambda-Runtime-Function-Error-Type") == ["Boom"]
    assert json.loads(post.body)["errorMessage"] == "Boom; its text is withheld, see the stack"


@pytest.mark.parametrize("begun", [False, True], ids=["silent", "half"])
async def test_an_app_that_returns_too_early_has_failed(begun: bool) -> None:
    @http
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        if begun:
            await send(start())

    [post] = await answers(app, function_url())
    told = post.trailers if begun else dict(post.headers)
    assert told["Lambda-Runtime-Function-Error-Type"] == "IncompleteResponse"


async def test_a_failure_after_the_last_byte_changes_nothing() -> None:
    @http
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start(500))
        await send(body(b"sorry"))
        raise Boom

    posts = await answers(app, function_url(), function_url())
    assert [(post.path, post.chunks[1:], post.trailers) for post in posts] == [
        ("/invocation/id-1/response", [b"sorry"], {}),
        ("/invocation/id-2/response", [b"sorry"], {}),
    ]


async def test_a_reader_who_leaves_makes_send_raise_and_receive_say_so_and_the_next_one_is_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    seen: list[str] = []

    @http
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(start())
        if scope["path"] == "/short":
            await send(body(b"fine"))
            return
        await send(body(b"first", more=True))
        seen.append((await receive())["type"])  # noticed without a write
        try:
            await send(body(b"second", more=True))
        except OSError as error:
            seen.append(type(error).__name__)
            raise Boom from error

    async with FakeRuntimeApi(hang_up_after=2) as api, serving(app, api):
        api.invoke(function_url("/long"))
        left = await api.post()
        api.hang_up_after = None
        api.invoke(function_url("/short"), "id-2")
        served = await api.post()
    assert seen == ["http.disconnect", "ReaderGone"]
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    assert [(line.get("disconnected"), line.get("error")) for line in lines] == [(True, None), (None, None)]
    assert (left.complete, left.chunks[1:]) == (False, [b"first"])
    assert (served.path, served.chunks[1:], served.complete) == ("/invocation/id-2/response", [b"fine"], True)


async def test_a_slow_reader_slows_the_app() -> None:
    pieces, size = 48, 1024 * 1024
    sent = 0

    @http
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal sent
        await send(start())
        for _ in range(pieces):
            await send(body(b"x" * size, more=True))
            sent += 1
        await send(body(b""))

    async with FakeRuntimeApi() as api, serving(app, api):
        api.invoke(function_url())
        await api.chunk()
        api.reading.clear()
        before = -1
        while before != sent:  # until the socket's buffers are full
            before = sent
            await asyncio.sleep(0.1)
        stalled_at = sent
        api.reading.set()
        post = await api.post()
    assert stalled_at < pieces
    assert len(post.body) - len(post.chunks[0]) == pieces * size


async def test_the_deadline_is_lambdas_minus_the_margin_on_the_monotonic_clock() -> None:
    states: list[dict[str, Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["model"] = "m"
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        states.append(dict(scope["state"]))
        scope["state"]["model"] = "changed by one request"
        await send(start())
        await send(body(b""))

    async with FakeRuntimeApi() as api, serving(app, api, deadline_margin_ms=2_000):
        for _ in range(2):
            api.invoke(function_url(), deadline_ms=int(time.time() * 1000) + 60_000)
            await api.post()
    assert [state["model"] for state in states] == ["m", "m"]
    assert [state["deadline"] - time.monotonic() for state in states] == [pytest.approx(58, abs=5)] * 2


async def test_the_trace_id_is_in_the_environment_while_the_invocation_runs() -> None:
    seen: list[str | None] = []

    @http
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        seen.append(os.environ.get("_X_AMZN_TRACE_ID"))
        await send(start())
        await send(body(b""))

    async with FakeRuntimeApi() as api, serving(app, api):
        api.invoke(function_url(), Lambda_Runtime_Trace_Id="Root=1-2-3")
        await api.post()
        api.invoke(function_url())
        await api.post()
    assert seen == ["Root=1-2-3", None]


async def test_an_attempt_id_is_given_back() -> None:
    async with FakeRuntimeApi() as api, serving(three_pieces, api):
        api.invoke(function_url(), Lambda_Runtime_Invocation_Id="attempt-7")
        assert (await api.post()).header("Lambda-Runtime-Invocation-Id") == ["attempt-7"]


async def test_a_body_that_is_not_base64_is_answered_400_without_the_app() -> None:
    [post] = await answers(three_pieces, function_url(method="POST", body="%%%", isBase64Encoded=True))
    head, _, content = post.body.partition(NULS)
    told = json.loads(head)
    assert re.fullmatch("req_[0-9a-f]{32}", told["headers"].pop("x-request-id"))
    assert told == {
        "statusCode": 400,
        "headers": {"content-type": "application/json", "content-length": str(len(content)), "x-should-retry": "false"},
        "cookies": [],
    }
    assert json.loads(content) == {
        "error": {
            "message": "The event marks its body as base64, and it is not: check the integration.",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_value",
        }
    }


@pytest.mark.parametrize(
    "event", [b"", b"\xff", b"[" * 100_000, b"[]", {}, {"messages": []}, {"requestContext": None}, {"Records": []}]
)
async def test_what_is_no_http_event_is_an_error_that_names_the_supported_ones_and_the_process_goes_on(
    event: Any,
) -> None:
    refused, served = await answers(three_pieces, event, function_url())
    error = json.loads(refused.body)
    assert (refused.path, error["errorType"]) == ("/invocation/id-1/error", "UnsupportedEvent")
    assert error["errorMessage"].startswith(
        "This function answers HTTP events: a Function URL, an API Gateway HTTP API"
    )
    assert served.complete


async def test_several_invocations_run_at_once_in_one_process() -> None:
    together = asyncio.Barrier(3)
    starts = 0

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal starts
        if scope["type"] == "lifespan":
            starts += 1
            raise NotImplementedError
        await together.wait()
        await send(start())
        await send(body(b"x"))

    async with FakeRuntimeApi() as api, serving(app, api, max_concurrency=3):
        for number in range(3):
            api.invoke(function_url(), f"id-{number}")
        paths = {(await api.post()).path for _ in range(3)}
    assert paths == {f"/invocation/id-{number}/response" for number in range(3)}
    assert starts == 1


async def refuses_to_start(_scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no model"})
    raise Boom


async def test_an_app_that_cannot_start_is_an_init_error_and_exit_1() -> None:
    async with FakeRuntimeApi() as api:
        with pytest.raises(SystemExit) as exit_info:
            await serve_streaming(refuses_to_start, runtime_api=api.address)
        post = await api.post()
    assert (exit_info.value.code, post.path, api.polls) == (1, "/init/error", 0)
    assert json.loads(post.body)["errorType"] == "Boom"


async def test_after_a_snapshot_is_restored_the_hooks_run_in_order_before_the_first_invocation() -> None:
    ran: list[str] = []
    async with FakeRuntimeApi() as api:
        api.restored.clear()
        hooks = (lambda: ran.append("seed"), lambda: ran.append("secrets"))
        async with serving(three_pieces, api, init_type="snap-start", on_restore=hooks):
            api.invoke(function_url())
            assert ran == []
            api.restored.set()
            await api.post()
    assert ran == ["seed", "secrets"]


async def test_a_hook_that_fails_is_a_restore_error() -> None:
    def hook() -> None:
        raise Boom

    async with FakeRuntimeApi() as api:
        with pytest.raises(Boom):
            await serve_streaming(three_pieces, runtime_api=api.address, init_type="snap-start", on_restore=(hook,))
        post = await api.post()
    assert (post.path, json.loads(post.body)["errorType"], api.polls) == ("/restore/error", "Boom", 0)


async def test_a_runtime_api_that_refuses_next_ends_the_process() -> None:
    async with FakeRuntimeApi(next_status=403) as api:
        api.invoke(function_url())
        with pytest.raises(RuntimeApiError, match="403"):
            await serve_streaming(three_pieces, runtime_api=api.address)


async def test_a_runtime_api_that_is_not_there_ends_the_process() -> None:
    async with FakeRuntimeApi() as api:
        address = api.address
    with pytest.raises(ConnectionRefusedError):
        await serve_streaming(three_pieces, runtime_api=address)
