"""Starts the product's own commands as a user would, on free ports, and stops them."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
START_TIMEOUT_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def environment(**settings: str) -> dict[str, str]:
    """This process's environment without any `LLM_` setting but the given ones."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LLM_")}
    return clean | {"PYTHONUNBUFFERED": "1"} | settings


@contextlib.contextmanager
def running(command: list[str], *, url: str, log: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `python COMMAND…` until `url` answers 200, and stops it at the end. What it prints goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment(**settings), stdout=output, stderr=subprocess.STDOUT
        )
        try:
            wait_until_ready(process, url, log)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, timeout=START_TIMEOUT_SECONDS).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"no answer from {url}; the process printed:\n{log.read_text()}")
