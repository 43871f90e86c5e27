"""Every event in `events/`, through AWS's own Runtime Interface Emulator and the default model, in both modes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambda_local.invoke import render
from lambda_local.rie import invoke, running_rie
from tests.e2e.processes import ROOT, environment

EVENTS = sorted((ROOT / "events").glob("*.json"))


@pytest.fixture(scope="module", params=["buffered", "stream"])
def port(request: pytest.FixtureRequest, default_model: Path) -> Iterator[int]:
    env = {"LLM_MODEL": str(default_model), "LLM_MODE": request.param}
    with running_rie([sys.executable, "-m", "handler"], timeout=60, env=env) as port:
        yield port


@pytest.mark.parametrize("event", EVENTS, ids=lambda path: path.stem)
def test_an_event_is_answered(port: int, event: Path) -> None:
    status, text = render(invoke(port, event.read_bytes(), timeout=120))
    assert status == 200, text
    if "chat" in event.stem:
        assert "Paris" in text
    elif "models" in event.stem:
        assert "SmolLM2-135M-Instruct" in text


def test_an_event_of_no_known_source_is_an_error_that_names_the_known_ones(port: int) -> None:
    _, text = render(invoke(port, json.dumps({"Records": []}).encode(), timeout=60))
    assert "errorMessage" in text
    assert "Function URL" in text


def test_make_invoke_prints_the_answer(default_model: Path) -> None:
    command = [sys.executable, "-m", "lambda_local.invoke", "events/function_url_chat.json"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(LLM_MODEL=str(default_model)), check=True, capture_output=True, text=True
    )
    assert "HTTP 200" in done.stdout
    assert "Paris" in done.stdout
