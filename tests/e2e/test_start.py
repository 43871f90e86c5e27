"""What a person sees who starts the server where it cannot run."""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from handler.ort import kernels
from tests.e2e.processes import ROOT, environment, free_port, running


def start(**settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "handler"]
    return subprocess.run(
        command, cwd=ROOT, env=environment(**settings), capture_output=True, text=True, timeout=60, check=False
    )


def test_a_taken_port_is_one_line(default_model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = start(LLM_MODEL=str(default_model), LLM_PORT=str(port))
    assert done.returncode == 1
    assert done.stderr == (
        f"lambda-llm: cannot listen on 127.0.0.1:{port} (Address already in use): choose another LLM_PORT\n"
    )


def test_a_model_that_is_not_there_is_one_line() -> None:
    done = start(LLM_MODEL="/nowhere")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "python -m model_export SOURCE" in done.stderr


def test_a_damaged_model_is_one_line(default_model: Path, tmp_path: Path) -> None:
    for file in default_model.iterdir():
        (tmp_path / file.name).symlink_to(file)
    damaged = bytearray((default_model / "tokenizer.json").read_bytes())
    damaged[1000] ^= 1
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.json").write_bytes(damaged)
    done = start(LLM_MODEL=str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "tokenizer.json does not have the sha256 of its manifest" in done.stderr


def test_a_mistyped_setting_is_one_line() -> None:
    done = start(LLM_API_KEY="x")
    assert (done.returncode, done.stderr) == (
        1,
        "lambda-llm: LLM_API_KEY is not a setting: did you mean LLM_API_KEYS?\n",
    )


@pytest.mark.parametrize("host", ["handler", "lambda_local"])
def test_the_log_tells_where_the_time_went(default_model: Path, tmp_path: Path, host: str) -> None:
    port, log = free_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{port}/health"
    command = ["-m", host] if host == "handler" else ["-m", host, "--port", str(port)]
    with running(command, url=url, log=log, LLM_MODEL=str(default_model), LLM_PORT=str(port)):
        ready = json.loads(next(line for line in log.read_text().splitlines() if '"ready"' in line))
    phases = ["settings", "runtime", "api", "tokenizer", "template", "model", "app", "server"]
    told = list(ready["phases_ms"])
    assert (told[0], told[-len(phases) :]) == ("interpreter" if sys.platform == "linux" else "settings", phases)
    assert min(ready["phases_ms"].values()) >= 0
    assert sum(ready["phases_ms"].values()) == ready["total_ms"]
    assert ready["kernels"] is (kernels.library() is not None)
    assert set(ready["beside_ms"]) == {"session", "hashes", "warm step"}
    for begin, end in ready["beside_ms"].values():
        assert 0 <= begin <= end <= ready["total_ms"]
    assert ready["beside_ms"]["session"][1] <= ready["beside_ms"]["warm step"][0]


def test_a_request_that_comes_while_the_model_loads_is_answered(default_model: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "handler"]
    settings = environment(LLM_MODEL=str(default_model), LLM_PORT=str(port))
    with subprocess.Popen(command, cwd=ROOT, env=settings, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            with contextlib.closing(connect(port, process)) as connection:
                connection.request("GET", "/health")
                first_said = process.stderr.readline()  # once the model is loaded
                assert connection.getresponse().status == 200
        finally:
            process.terminate()
    assert first_said.startswith("Serving on ")


def connect(port: int, process: subprocess.Popen[str]) -> http.client.HTTPConnection:
    """A connection to a process that may not listen yet."""
    pause = threading.Event()
    while process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.connect()
        except OSError:
            connection.close()
            pause.wait(0.005)
        else:
            return connection
    raise AssertionError("the process ended")
