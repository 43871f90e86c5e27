"""The runtime as a process of its own, in both modes: start, stop, init errors, snapshots."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.aws.fake_runtime_api import FakeRuntimeApi, function_url

ROOT = Path(__file__).parents[2]
both_modes = pytest.mark.parametrize("mode", ["stream", "buffered"])


@asynccontextmanager
async def runtime(mode: str, api: FakeRuntimeApi, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.aws.tiny_app",
        mode,
        cwd=ROOT,
        env={**os.environ, "AWS_LAMBDA_RUNTIME_API": api.address, "PYTHONWARNINGS": "error", **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()


@both_modes
async def test_sigterm_ends_a_waiting_process_with_0_after_its_lifespan(mode: str) -> None:
    async with FakeRuntimeApi() as api, runtime(mode, api) as process:
        api.invoke(function_url("/echo"))
        post = await api.post()
        while await api.polled.get() < 2:
            pass
        process.send_signal(signal.SIGTERM)
        printed, logged = await process.communicate()
        assert post.path == "/invocation/id-1/response"
        assert (printed.splitlines()[-1], process.returncode) == (b"shut down", 0)
        assert (logged + printed).count(b'{"event": "request"') == 1


@both_modes
async def test_sigterm_lets_the_invocation_under_way_finish(mode: str) -> None:
    async with FakeRuntimeApi() as api, runtime(mode, api) as process:
        api.invoke(function_url("/slow"))
        while await line(process) != "busy":
            pass
        process.send_signal(signal.SIGTERM)
        post = await api.post()
        assert (post.complete, b"done" in post.body, await process.wait()) == (True, True, 0)


async def test_an_answer_that_does_not_end_in_time_after_sigterm_is_broken_off_with_a_reason() -> None:
    async with FakeRuntimeApi() as api, runtime("stream", api) as process:
        api.invoke(function_url("/forever"))
        assert await line(process) == "busy"
        process.send_signal(signal.SIGTERM)
        post = await api.post()
        assert (post.complete, post.trailers["Lambda-Runtime-Function-Error-Type"]) == (True, "Stopping")
        assert await process.wait() == 0


@both_modes
async def test_an_app_that_cannot_start_is_an_init_error_and_exit_1(mode: str) -> None:
    async with FakeRuntimeApi() as api, runtime(mode, api, TINY_APP_FAILS="1") as process:
        post = await api.post()
        error = json.loads(post.body)
        assert (post.path, error["errorType"], error["errorMessage"]) == ("/init/error", "LookupError", "no model")
        assert (await process.wait(), api.polls) == (1, 0)


@both_modes
async def test_a_restored_snapshot_runs_the_hooks_first(mode: str) -> None:
    async with FakeRuntimeApi() as api:
        api.restored.clear()
        async with runtime(mode, api, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") as process:
            api.restored.set()
            assert await line(process) == "restored"
            api.invoke(function_url("/echo"))
            assert (await api.post()).path == "/invocation/id-1/response"


@pytest.mark.parametrize("log_format", ["Text", "JSON"])
@both_modes
async def test_the_line_of_a_request_is_json_by_itself_whatever_the_functions_log_format(
    mode: str, log_format: str
) -> None:
    async with FakeRuntimeApi() as api, runtime(mode, api, AWS_LAMBDA_LOG_FORMAT=log_format) as process:
        api.invoke(function_url("/echo"), Lambda_Runtime_Trace_Id="Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
        await api.post()
        while await api.polled.get() < 2:
            pass
        process.send_signal(signal.SIGTERM)
        _, logged = await process.communicate()
    (told,) = [line for line in logged.decode().splitlines() if "req_" in line]
    entry = json.loads(told)
    assert (entry["aws_request_id"], entry["trace_id"]) == ("id-1", "1-5759e988-bd862e3fe1be46a994272793")
    assert (entry["level"], entry["cold"]) == ("INFO", True)
