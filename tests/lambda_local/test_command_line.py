"""`python -m lambda_local`, as a person starts and stops it."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from lambda_local.__main__ import function_from, parser
from lambda_local.function import Function
from tests.lambda_local.stage import COMMAND

ROOT = Path(__file__).resolve().parents[2]


def test_options_become_a_function() -> None:
    words = (
        "--timeout 5 --init-timeout 7 --memory 512 --env A=1 --env B=x=y --snapstart --at-once 3 --on-leave drain"
        " -- prog --flag"
    )
    assert function_from(parser().parse_args(words.split())) == Function(
        command=["prog", "--flag"],
        timeout=5.0,
        init_timeout=7.0,
        memory_mb=512,
        env={"A": "1", "B": "x=y"},
        snapstart=True,
        at_once=3,
        on_leave="drain",
    )


def test_the_default_is_our_handler() -> None:
    assert function_from(parser().parse_args([])).command == [sys.executable, "-m", "handler"]


def test_a_wrong_env_or_cors_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--env", "A"], ["--cors", '{"Allow": []}']):
        with pytest.raises(SystemExit):
            parser().parse_args(words)
    errors = capsys.readouterr().err
    assert "'A': expected K=V" in errors
    assert "known: AllowOrigins" in errors


async def test_it_serves_until_terminated_and_leaves_no_process() -> None:
    emulator = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lambda_local", "--port", "0", "--", *COMMAND, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert emulator.stdout is not None
    announced = (await emulator.stdout.readline()).decode()
    base_url = announced.split()[2]
    async with httpx.AsyncClient(base_url=base_url) as client:
        pid = (await client.get("/")).json()["pid"]
    emulator.send_signal(signal.SIGTERM)
    assert await emulator.wait() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_taken_port_is_one_line() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    emulator = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lambda_local", "--port", str(port), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await emulator.communicate()
    server.close()
    await server.wait_closed()
    assert (emulator.returncode, errors.decode().count("\n")) == (1, 1)
    assert f"port {port}: " in errors.decode()
