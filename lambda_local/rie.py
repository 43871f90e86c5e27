"""Where AWS's Runtime Interface Emulator is, and how to run it: the binary that the SAM CLI's wheel carries."""

import contextlib
import http.client
import importlib.util
import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
INSIDE_SAMCLI = Path("local", "rapid")
INVOCATIONS = "/2015-03-31/functions/function/invocations"
START_LIMIT = 10.0
STOP_LIMIT = 5.0


class RieError(Exception):
    """The emulator is not there or cannot run here; the message says what to do."""


def rie_path() -> Path:
    """An executable emulator: $RIE_PATH, else an installed aws-sam-cli's, else `.venv-tools`'. Raises RieError."""
    machine = MACHINES.get(platform.machine().lower())
    if platform.system() != "Linux" or machine is None:
        raise RieError(f"the emulator is a Linux program, and this is {platform.system()} on {platform.machine()}")
    if chosen := os.environ.get("RIE_PATH"):
        if not Path(chosen).is_file():
            raise RieError(f"RIE_PATH={chosen}: there is no such file")
        return _executable(Path(chosen))
    name = INSIDE_SAMCLI / f"aws-lambda-rie-{machine}"
    for candidate in (*_installed(name), *ROOT.glob(f".venv-tools/lib/python*/site-packages/samcli/{name}")):
        if candidate.is_file():
            return _executable(candidate)
    raise RieError("the Runtime Interface Emulator is not installed: run `make tools`, or set RIE_PATH")


def _installed(name: Path) -> list[Path]:
    spec = importlib.util.find_spec("samcli")
    return [] if spec is None else [Path(place) / name for place in spec.submodule_search_locations or []]


def _executable(path: Path) -> Path:
    """`path`, or a copy of it that may be executed: wheels are often unpacked without the bit."""
    if os.access(path, os.X_OK):
        return path
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lambda-llm"
    stat = path.stat()
    copy = cache / f"{path.name}-{stat.st_size}-{stat.st_mtime_ns}"
    if not copy.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache, delete=False) as partial:
            with path.open("rb") as original:
                shutil.copyfileobj(original, partial)
            os.fchmod(partial.fileno(), 0o700)
        Path(partial.name).replace(copy)
    return copy


@contextlib.contextmanager
def running_rie(
    command: Sequence[str], *, timeout: float, env: Mapping[str, str], output: IO[bytes] | None = None
) -> Iterator[int]:
    """The emulator around a runtime; yields the port to invoke it at. The runtime starts with the first invoke.

    timeout: of one invocation, in seconds. output: where the emulator and the runtime print to, if not where we do.
    Raises RieError where the emulator does not start.
    """
    port, runtime_port = _free_ports(2)
    emulator = subprocess.Popen(
        [
            str(rie_path()),
            "--runtime-interface-emulator-address",
            f"127.0.0.1:{port}",
            "--runtime-api-address",
            f"127.0.0.1:{runtime_port}",
            *command,
        ],
        env={**os.environ, "AWS_LAMBDA_FUNCTION_TIMEOUT": str(max(1, round(timeout))), **env},
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    try:
        _wait_until_listening(emulator, port)
        yield port
    finally:
        # The emulator ends its runtime when asked to; what does not end is killed.
        emulator.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            emulator.wait(STOP_LIMIT)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(emulator.pid, signal.SIGKILL)
        emulator.wait()


def invoke(port: int, event: bytes, *, timeout: float) -> bytes:
    """One event's answer. timeout: seconds to wait for it. Raises OSError where none comes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("POST", INVOCATIONS, event)
        return connection.getresponse().read()
    finally:
        connection.close()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(listening.getsockname()[1]) for listening in sockets]


def _wait_until_listening(emulator: subprocess.Popen[bytes], port: int) -> None:
    limit = time.monotonic() + START_LIMIT
    while time.monotonic() < limit and emulator.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.02)
    raise RieError(f"the emulator did not start to listen on port {port}")
