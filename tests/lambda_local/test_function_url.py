"""The whole emulator in front of a stand-in runtime: what a client sees, whatever the runtime does."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from lambda_local.function import Function
from lambda_local.function_url import FunctionUrl
from tests.lambda_local.conftest import Open
from tests.lambda_local.stage import Stage, script

PRELUDE = {"statusCode": 200, "headers": {"content-type": "text/event-stream"}}
ERROR = b"Internal Server Error"


async def test_each_chunk_reaches_the_client_before_the_runtime_sends_the_next(open_url: Open, stage: Stage) -> None:
    steps = script(("prelude", PRELUDE), "hold", ("write", "a"), "hold", ("write", "b"), "hold", "end")
    async with open_url() as (url, client), client.stream("POST", "/v1", headers=steps) as response:
        assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream")
        assert response.headers["transfer-encoding"] == "chunked"
        chunks = response.aiter_raw()
        for expected in (b"a", b"b"):
            await stage.reached()
            stage.release()
            assert await anext(chunks) == expected
        await stage.reached()
        stage.release()
        assert [chunk async for chunk in chunks] == []
        await url.settled()
        assert [report.status for report in url.reports] == ["success"]


async def test_an_error_trailer_cuts_the_stream(open_url: Open) -> None:
    steps = script(("prelude", PRELUDE), ("write", "a"), ("fail", "Runtime.Broken"))
    async with open_url() as (url, client):
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            await client.post("/", headers=steps)
        await url.settled()
        assert [(report.status, report.error_type) for report in url.reports] == [("error", "Runtime.Broken")]
        assert (await client.get("/")).status_code == 200


async def test_an_error_trailer_right_after_the_prelude_cuts_too(open_url: Open) -> None:
    async with open_url() as (_, client):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("/", headers=script(("prelude", PRELUDE), ("fail", "Runtime.Broken")))


async def test_a_broken_off_response_cuts(open_url: Open) -> None:
    async with open_url() as (url, client):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("/", headers=script(("prelude", PRELUDE), ("write", "a"), "drop"))
        assert (await client.get("/")).status_code == 200
        await url.settled()
        assert [report.error_type for report in url.reports] == ["Runtime.TruncatedResponse", None]


async def test_a_response_that_breaks_off_a_little_before_the_runtime_exits_is_an_exit(
    open_url: Open, stage: Stage, lines: list[str]
) -> None:
    steps = script(("prelude", PRELUDE), "poll", ("write", "a"), "drop", "hold", ("exit", 9))
    async with open_url() as (url, client):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("/", headers=steps)
        await stage.reached()
        stage.release()
        await url.settled()
        assert [report.error_type for report in url.reports] == ["Runtime.ExitError"]
        assert any(line.endswith("Runtime exited with exit status 9") for line in lines)


async def test_a_time_out_cuts_the_stream_and_the_next_request_gets_a_new_process(
    open_url: Open, lines: list[str]
) -> None:
    async with open_url(function={"timeout": 0.5}) as (url, client):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("/", headers=script(("prelude", PRELUDE), ("write", "a"), "hold"))
        await url.settled()
        assert [report.status for report in url.reports] == ["timeout"]
        assert any(line.endswith("Task timed out after 0.50 seconds") for line in lines)
        assert (await client.get("/")).status_code == 200
        await url.settled()
        assert url.reports[-1].init_duration is not None


async def test_a_time_out_before_the_first_byte_is_a_502(open_url: Open) -> None:
    async with open_url(function={"timeout": 0.3}) as (_, client):
        answer = await client.post("/", headers=script("hold"))
        assert (answer.status_code, answer.content) == (502, ERROR)


@pytest.mark.parametrize("steps", [script(("error", "ValueError")), script(("exit", 0)), script(("exit", 1))])
async def test_a_failure_before_the_first_byte_is_a_502(open_url: Open, steps: dict[str, str]) -> None:
    async with open_url() as (_, client):
        answer = await client.post("/", headers=steps)
        assert (answer.status_code, answer.content) == (502, ERROR)
        assert (await client.get("/")).status_code == 200


async def test_the_process_lives_on_after_an_error_and_not_after_an_exit(open_url: Open) -> None:
    async with open_url() as (_, client):
        pids = [(await client.get("/")).json()["pid"]]
        for steps in (script(("error", "ValueError")), script(("exit", 1))):
            await client.post("/", headers=steps)
            pids.append((await client.get("/")).json()["pid"])
        assert pids[0] == pids[1] != pids[2]


async def test_a_killed_runtime_cuts_the_stream_and_the_next_request_works(open_url: Open, stage: Stage) -> None:
    async with open_url() as (url, client):
        async with client.stream(
            "POST", "/", headers=script(("prelude", PRELUDE), ("write", "a"), "hold", "end")
        ) as response:
            chunks = response.aiter_raw()
            assert await anext(chunks) == b"a"
            await stage.reached()
            await url.kill_runtime()
            with pytest.raises(httpx.RemoteProtocolError):
                await anext(chunks)
        assert (await client.get("/")).status_code == 200
        await url.settled()
        assert [report.error_type for report in url.reports] == ["Runtime.ExitError", None]


async def test_when_a_client_leaves_the_runtimes_write_fails_and_the_next_request_works(
    open_url: Open, stage: Stage
) -> None:
    async with open_url() as (url, client):
        async with client.stream(
            "POST", "/", headers=script(("prelude", PRELUDE), ("write", "a"), "write until broken")
        ) as response:
            assert await anext(response.aiter_raw()) == b"a"
        await stage.reached()  # The runtime's write has failed.
        stage.release()
        assert (await client.get("/")).status_code == 200
        await url.settled()
        assert [report.status for report in url.reports] == ["success", "success"]


async def test_when_told_to_drain_the_runtime_writes_on_after_its_client_left(open_url: Open, stage: Stage) -> None:
    steps = script(("prelude", PRELUDE), ("write", "a"), "hold", ("write", "b"), "end", "hold")
    async with open_url(function={"on_leave": "drain"}) as (url, client):
        async with client.stream("POST", "/", headers=steps) as response:
            assert await anext(response.aiter_raw()) == b"a"
        for _ in range(2):  # Past `end` means that the response was read to its end and accepted.
            await stage.reached()
            stage.release()
        await url.settled()
        assert [report.status for report in url.reports] == ["success"]


async def test_an_init_error_is_retried_inside_the_invoke(open_url: Open, tmp_path: Path, lines: list[str]) -> None:
    async with open_url(function={"env": {"INIT": f"error:{tmp_path / 'once'}"}}) as (_, client):
        assert (await client.get("/")).status_code == 200
        assert "Status: error\tError Type: Runtime.ImportError" in lines[0]


@pytest.mark.parametrize("kind", ["error", "exit"])
async def test_an_init_that_always_fails_is_a_502(open_url: Open, kind: str) -> None:
    async with open_url(function={"env": {"INIT": kind}}) as (url, client):
        assert [(await client.get("/")).status_code for _ in range(2)] == [502, 502]
        expected = {"error": "Runtime.ImportError", "exit": "Runtime.ExitError"}[kind]
        await url.settled()
        assert [report.error_type for report in url.reports] == [expected, expected]


async def test_an_init_that_is_too_slow_is_killed_and_rerun_inside_the_invoke(
    open_url: Open, tmp_path: Path, lines: list[str]
) -> None:
    function = {"env": {"INIT": f"hang:{tmp_path / 'once'}"}, "init_timeout": 0.5}
    async with open_url(function=function) as (_, client):
        assert (await client.get("/")).status_code == 200
        assert "Phase: init\tStatus: timeout" in lines[0]


async def test_a_command_that_cannot_be_run_is_a_502_that_says_why_in_the_log(
    lines: list[str],
) -> None:
    async with (
        FunctionUrl(Function(command=["/no/such/program"]), log=lines.append) as url,
        httpx.AsyncClient() as client,
    ):
        assert (await client.get(url.base_url)).status_code == 502
        assert any("No such file or directory: '/no/such/program'" in line for line in lines)


async def test_snapstart_asks_for_a_restore_before_the_first_event(open_url: Open) -> None:
    async with open_url(function={"snapstart": True}) as (_, client):
        answer = (await client.get("/")).json()
        assert answer["headers"]["restored"] == 200
        assert answer["env"]["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"


async def test_a_restore_that_fails_is_a_502(open_url: Open) -> None:
    async with open_url(function={"snapstart": True, "env": {"RESTORE": "error"}}) as (url, client):
        assert (await client.get("/")).status_code == 502
        await url.settled()
        assert [report.error_type for report in url.reports] == ["Runtime.RestoreError"]


async def test_the_runtime_gets_the_headers_and_variables_of_lambda(open_url: Open) -> None:
    async with open_url(function={"memory_mb": 3008, "timeout": 30}) as (_, client):
        response = await client.get("/")
        answer = response.json()
        headers, event, env = answer["headers"], answer["event"], answer["env"]
        assert headers["lambda-runtime-aws-request-id"] == event["requestContext"]["requestId"]
        assert headers["lambda-runtime-aws-request-id"] == response.headers["x-amzn-requestid"]
        assert (
            headers["lambda-runtime-invoked-function-arn"]
            == "arn:aws:lambda:us-east-1:123456789012:function:lambda-llm"
        )
        assert headers["lambda-runtime-trace-id"].startswith(event["headers"]["x-amzn-trace-id"] + ";Parent=")
        assert 0 < int(headers["lambda-runtime-deadline-ms"]) - event["requestContext"]["timeEpoch"] < 60_000
        assert {name: env[name] for name in ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_INITIALIZATION_TYPE")} == {
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "3008",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        }


async def test_the_log_has_start_end_and_report(open_url: Open, lines: list[str]) -> None:
    async with open_url() as (url, client):
        request_id = (await client.get("/")).headers["x-amzn-requestid"]
        await url.settled()
        assert lines[:2] == [f"START RequestId: {request_id} Version: $LATEST", f"END RequestId: {request_id}"]
        assert lines[2].startswith(f"REPORT RequestId: {request_id}\tDuration: ")


async def test_cookies_go_both_ways(open_url: Open) -> None:
    prelude = {"statusCode": 200, "cookies": ["a=1; Path=/", "b=2"]}
    async with open_url() as (_, client):
        event = (await client.get("/", headers={"cookie": "x=1; y=2"})).json()["event"]
        assert event["cookies"] == ["x=1", "y=2"]
        assert "cookie" not in event["headers"]
        response = await client.get("/", headers=script(("prelude", prelude), "end"))
        assert response.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2"]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 302), ("GET", 200)])
async def test_an_empty_body_ends_and_the_connection_can_be_used_again(
    open_url: Open, method: str, status: int
) -> None:
    prelude = {"statusCode": status, "headers": {"location": "/"}}
    async with open_url() as (_, client):
        answer = await client.request(method, "/", headers=script(("prelude", prelude), "end"))
        assert (answer.status_code, answer.content) == (status, b"")
        if status in (204, 304):
            assert "transfer-encoding" not in answer.headers
        assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204)])
async def test_a_body_where_none_may_be_is_dropped(open_url: Open, method: str, status: int) -> None:
    steps = script(("prelude", {"statusCode": status}), ("write", "surplus"), "end")
    async with open_url() as (_, client):
        answer = await client.request(method, "/", headers=steps)
        assert (answer.status_code, answer.content) == (status, b"")


async def test_a_prelude_in_pieces_is_put_together(open_url: Open) -> None:
    text = '{"statusCode":201}' + "\0" * 8
    pieces = [("write", letter) for letter in text]
    async with open_url() as (_, client):
        answer = await client.get("/", headers=script("stream", *pieces, ("write", "body"), "end"))
        assert (answer.status_code, answer.content) == (201, b"body")


async def test_a_stream_without_a_prelude_type_is_all_body(open_url: Open) -> None:
    async with open_url() as (_, client):
        answer = await client.get("/", headers=script(("stream", "text/plain"), ("write", "body"), "end"))
        assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "text/plain", b"body")


@pytest.mark.parametrize("text", ["no json" + "\0" * 8, '{"statusCode":"200"}' + "\0" * 8, '{"statusCode":200}'])
async def test_a_bad_prelude_is_a_502(open_url: Open, text: str) -> None:
    async with open_url() as (_, client):
        assert (await client.get("/", headers=script("stream", ("write", text), "end"))).status_code == 502
        assert (await client.get("/")).status_code == 200


async def test_a_header_that_http_forbids_is_a_502(open_url: Open) -> None:
    async with open_url() as (_, client):
        prelude = {"headers": {"x-bad": "a\r\nb: c"}}
        assert (await client.get("/", headers=script(("prelude", prelude), "end"))).status_code == 502


async def test_a_wrong_content_length_cuts(open_url: Open) -> None:
    async with open_url() as (_, client):
        prelude = {"headers": {"content-length": "5"}}
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/", headers=script(("prelude", prelude), ("write", "abc"), "end"))


async def test_a_buffered_answer_is_unwrapped(open_url: Open) -> None:
    answer = {"statusCode": 418, "headers": {"X-Pot": "yes"}, "body": "aGk=", "isBase64Encoded": True}
    async with open_url() as (_, client):
        response = await client.get("/", headers=script(("answer", answer)))
        assert (response.status_code, response.headers["x-pot"], response.content) == (418, "yes", b"hi")
        plain = await client.get("/", headers=script(("answer", {"hello": 1})))
        assert (plain.status_code, plain.headers["content-type"], plain.json()) == (
            200,
            "application/json",
            {"hello": 1},
        )


async def test_a_request_over_six_megabytes_is_a_413(open_url: Open) -> None:
    async with open_url() as (url, client):
        answer = await client.post("/", content=b"x" * (6 * 1024 * 1024 + 1))
        assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (413, "RequestEntityTooLargeException")
        as_base64_it_is_too_long = b"x" * (5 * 1024 * 1024)
        assert (await client.post("/", content=as_base64_it_is_too_long)).status_code == 413
        await url.settled()
        assert url.reports == []


async def test_a_second_request_waits_for_the_first(open_url: Open, stage: Stage) -> None:
    answer = ("answer", {"statusCode": 200, "body": "done"})
    async with open_url() as (url, client):
        first = asyncio.create_task(client.get("/", headers=script("hold", answer)))
        await stage.reached()
        second = asyncio.create_task(client.get("/"))
        stage.release()
        assert [(await task).status_code for task in (first, second)] == [200, 200]
        await url.settled()
        assert len(url.reports) == 2


async def test_two_environments_work_at_once(open_url: Open, stage: Stage) -> None:
    async with open_url(concurrency=2) as (_, client):
        steps = script("hold", ("answer", {"statusCode": 200, "body": "done"}))
        tasks = [asyncio.create_task(client.get("/", headers=steps)) for _ in range(2)]
        for _ in tasks:
            await stage.reached()
            stage.release()
        assert [(await task).text for task in tasks] == ["done", "done"]


async def test_a_full_queue_is_a_429(open_url: Open, stage: Stage) -> None:
    async with open_url(queue_seconds=0) as (_, client):
        first = asyncio.create_task(client.get("/", headers=script("hold", ("answer", {"statusCode": 200}))))
        await stage.reached()
        refused = await client.get("/")
        assert (refused.status_code, refused.json()["Reason"]) == (
            429,
            "ReservedFunctionConcurrentInvocationLimitExceeded",
        )
        stage.release()
        assert (await first).status_code == 200


SIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20300101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0"
)


async def test_aws_iam_refuses_a_request_without_a_signature(open_url: Open) -> None:
    async with open_url(auth="AWS_IAM") as (_, client):
        for headers in ({}, {"authorization": "Bearer key"}):
            refused = await client.get("/", headers=headers)
            assert (refused.status_code, refused.json()) == (403, {"Message": "Forbidden"})
        event = (await client.get("/", headers={"authorization": SIGNED})).json()["event"]
        assert event["requestContext"]["authorizer"]["iam"]["accessKey"] == "AKIDEXAMPLE"
        presigned = {"X-Amz-Signature": "0", "X-Amz-Credential": "AKIDEXAMPLE/20300101/us-east-1/lambda/aws4_request"}
        assert (await client.get("/", params=presigned)).status_code == 200


async def test_an_unknown_request_id_and_path_are_refused(open_url: Open) -> None:
    async with open_url() as (_, client):
        runtime_api = (await client.get("/")).json()["env"]["AWS_LAMBDA_RUNTIME_API"]
        root = f"http://{runtime_api}/2018-06-01/runtime"
        unknown = await client.post(f"{root}/invocation/none/response", content=b"{}")
        assert (unknown.status_code, unknown.json()["errorType"]) == (400, "InvalidRequestID")
        assert (await client.get(f"{root}/nothing")).status_code == 404


async def test_what_is_not_http_is_a_400(open_url: Open) -> None:
    async with open_url() as (url, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.base_url.rpartition(":")[2]))
        writer.write(b"not http\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        writer.close()
        await writer.wait_closed()


async def test_an_upload_that_waits_for_100_continue_gets_it(open_url: Open) -> None:
    async with open_url() as (url, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.base_url.rpartition(":")[2]))
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 100 \r\n"
        await reader.readline()
        writer.write(b"{}")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()


async def test_the_connection_of_an_old_client_is_closed_after_the_answer(open_url: Open) -> None:
    async with open_url() as (url, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.base_url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert json.loads(body)["event"]["rawPath"] == "/"
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_leaves_after_the_last_byte_breaks_nothing(open_url: Open, stage: Stage) -> None:
    """The OpenAI client does: it closes at `[DONE]`, often before the stream's end has arrived."""
    steps = script(("prelude", PRELUDE), ("write", "[DONE]"), "hold", "end", "hold")
    async with open_url() as (url, client):
        async with client.stream("POST", "/", headers=steps) as response:
            assert await anext(response.aiter_raw()) == b"[DONE]"
            await stage.reached()
        stage.release()
        await stage.reached()  # `end` was acknowledged, or the runtime would have died of it.
        stage.release()
        await url.settled()
        assert [report.status for report in url.reports] == ["success"]
