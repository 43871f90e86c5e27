"""Where a fault happens: the real handler over the real model, in a process of its own, behind what calls it.

    stream     a Function URL (lambda_local) in front of our Runtime API loop
    managed    the same, four invocations at once in the one process, as on Lambda Managed Instances
    buffered   a Function URL in front of Mangum under awslambdaric
    laptop     no Lambda: the server that `make serve` starts
    rie        AWS's own Runtime Interface Emulator in front of the streaming loop; rie-buffered: in front of the other

A stage tells what can be seen from outside: answers, the log, the process.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx

from lambda_local.rie import invoke, running_rie
from tests.e2e.processes import ROOT, environment, free_port

Place = Literal["stream", "managed", "buffered", "laptop", "rie", "rie-buffered"]
MODEL = "SmolLM2-135M-Instruct"
AT_ONCE = 4
PATIENCE = 60.0  # seconds: only a hang takes as long
EXITED = re.compile(r"Runtime exited with exit status (\d+)")
HEALTH = ROOT / "events" / "function_url_get_health.json"
PARIS_EVENT = ROOT / "events" / "function_url_chat.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a stage is made of. `limit`: seconds of one invocation. `wrapper`: a command that runs the runtime."""

    place: Place
    settings: tuple[tuple[str, str], ...] = ()
    limit: float = 60.0
    snapstart: bool = False
    wrapper: tuple[str, ...] = ()

    @property
    def is_rie(self) -> bool:
        return self.place.startswith("rie")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A running setup. `process`: the Function URL's emulator, or the server itself; the other emulator's is None."""

    setup: Setup
    url: str
    log: Path
    process: subprocess.Popen[bytes] | None
    client: httpx.Client
    read: list[int] = field(default_factory=lambda: [0])

    def pid(self) -> int:
        """Of the process that holds the model. Raises LookupError while there is none."""
        handlers = [
            pid for pid in family(os.getpid() if self.process is None else self.process.pid) if _is_handler(pid)
        ]
        if not handlers:
            raise LookupError("no handler is running")
        return handlers[-1]

    def alive(self) -> int | None:
        """The process, if there is one."""
        with contextlib.suppress(LookupError):
            return self.pid()
        return None

    def usable(self) -> bool:
        """Whether it can be asked: an emulator always, since it starts what has died."""
        return self.setup.place != "laptop" or self.alive() is not None

    def exit_code(self) -> int:
        """Of a server, or of the runtime as the emulator tells."""
        if self.process is not None and self.setup.place == "laptop":
            return self.process.wait(PATIENCE)
        said = eventually(lambda: EXITED.search(self.logged()), self.logged)
        return int(said[1])

    def resident(self) -> int:
        """Bytes of the process in memory."""
        status = Path(f"/proc/{self.pid()}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid(), number)

    def since(self) -> None:
        """What is logged from here on is what `logged` and `records` tell of."""
        self.read[0] = self.log.stat().st_size

    def logged(self) -> str:
        return self.log.read_bytes()[self.read[0] :].decode(errors="replace")

    def records(self) -> list[dict[str, Any]]:
        """The JSON objects in the log, whatever stands before them on their lines."""
        found = []
        for line in self.logged().splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line[line.index("{") :]))
        return [record for record in found if isinstance(record, dict)]

    def record(self, wanted: Mapping[str, object]) -> dict[str, Any]:
        """The first record that has all of `wanted`, waited for."""
        return eventually(lambda: next((r for r in self.records() if wanted.items() <= r.items()), None), self.logged)

    def line(self, text: str) -> None:
        """Waits until the log holds `text`."""
        eventually(lambda: text in self.logged() or None, self.logged)

    def invoke(self, event: bytes) -> bytes:
        """One raw event; only on the Runtime Interface Emulator."""
        return invoke(int(self.url.rpartition(":")[2]), event, timeout=PATIENCE)

    def ask_health(self) -> int | None:
        """The status, or None where nobody listens yet; an emulator starts the runtime to answer."""
        with contextlib.suppress(httpx.TransportError):
            if self.setup.is_rie:
                return int(json.loads(self.invoke(HEALTH.read_bytes()).partition(bytes(8))[0])["statusCode"])
            return self.client.get("/health").status_code
        return None


def eventually(look: Callable[[], Any], told: Callable[[], str]) -> Any:
    """The first result of `look` that is not None. Fails with what `told` says."""
    until = time.monotonic() + PATIENCE / 2
    while (found := look()) is None:
        assert time.monotonic() < until, f"never seen; instead:\n{told()}"
        time.sleep(0.02)
    return found


def family(pid: int) -> list[int]:
    """A process and its descendants, parents first."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def _is_handler(pid: int) -> bool:
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return words[1:3] == [b"-m", b"handler"] and not words[0].endswith(b"rie")
    return False


def command(setup: Setup, port: int) -> list[str]:
    """What is started; the runtime is this interpreter's `-m handler`, under the setup's wrapper."""
    runtime = [*setup.wrapper, sys.executable, "-m", "handler"]
    if setup.place == "laptop" or setup.is_rie:
        return runtime
    options = ["--port", str(port), "--timeout", str(setup.limit), "--init-timeout", str(PATIENCE)]
    if setup.place == "managed":
        options += ["--at-once", str(AT_ONCE)]
    if setup.snapstart:
        options += ["--snapstart"]
    return [sys.executable, "-m", "lambda_local", *options, "--", *runtime]


def variables(setup: Setup, model: Path, port: int) -> dict[str, str]:
    mode = "buffered" if "buffered" in setup.place else "stream"
    given = {"LLM_MODEL": str(model), "LLM_PORT": str(port), "LLM_MODE": mode}
    return environment(**given | dict(setup.settings))


@contextlib.contextmanager
def opened(setup: Setup, model: Path, log: Path) -> Iterator[Stage]:
    """A stage that can be asked. Everything that it started is gone at the end."""
    port = free_port()
    env = variables(setup, model, port)
    with log.open("wb") as output, contextlib.ExitStack() as stack:
        if setup.is_rie:
            emulator = running_rie(command(setup, port), timeout=setup.limit, env=env, output=output)
            port, process = stack.enter_context(emulator), None
        else:
            process = subprocess.Popen(command(setup, port), cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT)
            stack.callback(_end, process)
        url = f"http://127.0.0.1:{port}"
        client = stack.enter_context(httpx.Client(base_url=url, timeout=PATIENCE))
        stage = Stage(setup=setup, url=url, log=log, process=process, client=client)
        eventually(stage.ask_health, log.read_text)
        yield stage


def _end(process: subprocess.Popen[bytes]) -> None:
    started = family(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    for pid in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
