"""What a person sees who starts the server where it cannot run."""

import socket
import subprocess
import sys
from pathlib import Path

from tests.e2e.processes import ROOT, environment


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
