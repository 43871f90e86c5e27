"""Finding AWS's emulator, running it, and reading what it returns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lambda_local.invoke import render
from lambda_local.rie import RieError, invoke, rie_path, running_rie
from tests.lambda_local.stage import COMMAND

EVENT = {"headers": {}}


def test_a_path_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIE_PATH", "/no/such/emulator")
    with pytest.raises(RieError, match="RIE_PATH=/no/such/emulator: there is no such file"):
        rie_path()


def test_without_the_execute_bit_a_copy_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    original = tmp_path / "aws-lambda-rie-x86_64"
    original.write_bytes(b"#!/bin/sh\nexit 0\n")
    original.chmod(0o444)
    monkeypatch.setenv("RIE_PATH", str(original))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    copy = rie_path()
    assert copy.read_bytes() == original.read_bytes()
    assert os.access(copy, os.X_OK)
    assert not os.access(original, os.X_OK)
    assert rie_path() == copy
    assert list(copy.parent.iterdir()) == [copy]


def test_a_runtime_answers_in_both_modes_through_one_emulator() -> None:
    buffered = [["answer", {"statusCode": 201, "headers": {"X-A": "1"}, "body": "hi"}]]
    streamed = [["prelude", {"statusCode": 202, "cookies": ["a=1"]}], ["write", "da"], ["write", "ta"], ["end", None]]
    failing = [["error", "ValueError"]]
    with running_rie(COMMAND, timeout=20, env={}) as port:
        answers = [
            render(invoke(port, json.dumps({"headers": {"x-script": json.dumps(steps)}}).encode(), timeout=30))
            for steps in (buffered, streamed, failing)
        ]
    assert answers == [
        (201, "HTTP 201\nx-a: 1\n\nhi"),
        (202, "HTTP 202\nset-cookie: a=1\n\ndata"),
        (0, json.dumps({"errorType": "ValueError", "errorMessage": "as told"}, indent=2)),
    ]


def test_the_command_prints_the_answer_and_tells_success_by_its_exit_status(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]

    def run(*steps: object) -> tuple[int, str]:
        event = tmp_path / "event.json"
        event.write_text(json.dumps({"headers": {"x-script": json.dumps(steps)}}), encoding="utf-8")
        command = [sys.executable, "-m", "lambda_local.invoke", str(event), "--", *COMMAND]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout[done.stdout.find("HTTP ") :]

    assert run(["answer", {"statusCode": 200, "body": '{"a":1}'}]) == (0, 'HTTP 200\n\n{\n  "a": 1\n}\n')
    assert run(["answer", {"statusCode": 404, "body": "no"}]) == (1, "HTTP 404\n\nno\n")


def test_an_event_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lambda_local.invoke", str(tmp_path / "none.json")]
    done = subprocess.run(
        command, cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "none.json" in done.stderr


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b'{"statusCode":200,"body":"aGk=","isBase64Encoded":true}', (200, "HTTP 200\n\nhi")),
        (b'{"statusCode":200,"multiValueHeaders":{"X-A":["1","2"]},"body":""}', (200, "HTTP 200\nx-a: 1,2\n\n")),
        (b'{"statusCode":429}' + b"\0" * 8 + b'{"a":1}', (429, 'HTTP 429\n\n{\n  "a": 1\n}')),
        (b"", (0, "no answer: the runtime did not start or died, and its log above says why")),
        (b"Task timed out after 1.00 seconds", (0, "Task timed out after 1.00 seconds")),
    ],
)
def test_what_the_emulator_returned_is_shown_as_http(answer: bytes, expected: tuple[int, str]) -> None:
    assert render(answer) == expected
