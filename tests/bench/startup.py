"""Start-up: from the start of a server's process to its first answer, and to the first text of a chat; pages warm.

Each sample is a process of its own, as a user starts it. The prompt has 37 tokens with the template around it.
"""

import compileall
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from model_export.recipes import DEFAULT
from tests.bench import environments, weights
from tests.bench.command import CORES, MODEL, Missing, Options, Record, alternate, run
from tests.bench.machine import ROOT
from tests.bench.names import FIRST_TOKEN, LLAMA_SERVER, READY, SERVER
from tests.bench.requests import SHORT
from tests.bench.workers.amx import deny_amx
from tests.e2e.processes import environment, free_port

_ROUNDS = 15
_TIMEOUT_SECONDS = 60
_PAUSE_SECONDS = 0.002  # between two attempts to connect
_CHAT = {
    "model": MODEL,
    "messages": [{"role": "user", "content": SHORT}],
    "temperature": 0,
    "max_tokens": 4,
    "stream": True,
}


def _ours(port: int) -> subprocess.Popen[bytes]:
    settings = environment(LLM_MODEL=str(weights.prepared(DEFAULT)), LLM_PORT=str(port))
    return subprocess.Popen(
        [sys.executable, "-m", "handler"],
        cwd=ROOT,
        env=settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _llama(port: int) -> subprocess.Popen[bytes]:
    """llama-cpp-python's server on the same cores, without AMX as in the other benches."""
    arguments = {"--model": weights.prepared("q8_0"), "--port": port, "--n_threads": CORES, "--n_threads_batch": CORES}
    command = [str(environments.python("llama.cpp")), "-m", "llama_cpp.server"]
    command += (str(word) for pair in arguments.items() for word in pair)
    silent = partial(subprocess.Popen, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # What a thread has denied itself, the processes that it starts are denied too.
    with ThreadPoolExecutor(1, initializer=deny_amx) as without_amx:
        return without_amx.submit(silent, command, cwd=ROOT).result()


@dataclass(frozen=True, slots=True)
class _Server:
    name: str
    recipe: str
    start: Callable[[int], subprocess.Popen[bytes]]
    ready: list[float] = field(default_factory=list, compare=False)  # milliseconds, one for each start

    def first_token(self) -> float:
        """Milliseconds from the start of a new process to the first text; those to the first answer are noted."""
        port = free_port()
        begin = time.perf_counter()
        with _running(self.start, port) as process:
            _await_answer(process, port)
            self.ready.append(1000 * (time.perf_counter() - begin))
            _await_text(port)
            return 1000 * (time.perf_counter() - begin)


@contextmanager
def _running(start: Callable[[int], subprocess.Popen[bytes]], port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = start(port)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _await_answer(process: subprocess.Popen[bytes], port: int) -> None:
    """Asks for the list of models, which both servers have, until it comes."""
    until = time.monotonic() + _TIMEOUT_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Missing(f"the server does not start: {environments.last_words('', process.returncode)}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/v1/models")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            time.sleep(_PAUSE_SECONDS)
        finally:
            connection.close()
    raise Missing("the server does not answer")


def _await_text(port: int) -> None:
    """Asks for a streamed answer, and returns with its first text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(_CHAT), {"Content-Type": "application/json"})
        for line in connection.getresponse():
            if line.startswith(b"data: {") and any(
                choice["delta"].get("content") for choice in json.loads(line[6:])["choices"]
            ):
                return
    except (OSError, http.client.HTTPException) as error:
        raise Missing(f"the server broke off ({type(error).__name__})") from None
    finally:
        connection.close()
    raise Missing("the answer had no text")


def measure(options: Options, record: Record) -> None:
    """Milliseconds from the start of the process."""
    # As the image has it, and every start but a laptop's first; pip wrote that of the peer. Nobody writes it here where
    # PYTHONDONTWRITEBYTECODE is set, and each start would compile our modules anew.
    compileall.compile_dir(ROOT / "handler", quiet=1)
    servers = (_Server(SERVER, DEFAULT, _ours), _Server(LLAMA_SERVER, "", _llama))
    rounds = options.rounds(_ROUNDS)
    for server, samples in alternate(servers, _Server.first_token, rounds=rounds).items():
        if isinstance(samples, Missing):
            record.missing(server.name, READY, "ms", samples, recipe=server.recipe)
            record.missing(server.name, FIRST_TOKEN, "ms", samples, recipe=server.recipe)
        else:
            record.samples(server.name, READY, server.ready[-rounds:], "ms", recipe=server.recipe)
            record.samples(server.name, FIRST_TOKEN, samples, "ms", recipe=server.recipe)


if __name__ == "__main__":
    sys.exit(run("startup", measure))
