"""Clients that are not ours, in Python and JavaScript, against the live server: each case is a script's own verdict."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import KEY
from tests.contract.wire import Checked
from tests.e2e.conftest import MODEL
from tests.e2e.processes import ROOT, environment

ENVIRONMENT = ROOT / ".venv-clients" / "bin"
SCRIPTS = Path(__file__).parent
AI_SDK = ["text", "streamed_text", "tools", "streamed_tools", "tool_round", "structured", "streamed_structured"]
CLIENTS = {
    "python/openai_2_client.py": [
        *("text", "streamed_text", "tools", "structured", "responses", "responses_structured"),
    ],
    "python/langchain_openai_client.py": [
        *("text", "streamed_text", "completion", "tools", "streamed_tools", "structured", "streamed_structured"),
        *("responses", "responses_tools"),
    ],
    "python/llama_index_client.py": ["text", "streamed_text", "completion", "tools", "streamed_tools", "structured"],
    "python/openai_agents_client.py": [
        f"{mode}_{case}"
        for mode in ("chat", "responses")
        for case in ("text", "streamed_text", "tools", "streamed_tools", "structured")
    ],
    "python/pydantic_ai_client.py": [
        *("text", "streamed_text", "tools", "streamed_tools", "function_tools", "structured", "streamed_structured"),
        *("responses_text", "responses_tools", "responses_structured"),
    ],
    "python/litellm_client.py": [
        *("text", "streamed_text", "overflow", "wrong_model", "completion", "tools", "streamed_tools", "structured"),
        "responses",
    ],
    "python/instructor_client.py": ["tools", "structured", "streamed_structured"],
    "node/openai_client.mjs": [
        *("text", "streamed_text", "completion", "tools", "streamed_tools", "structured", "errors"),
        *("responses", "responses_tools"),
    ],
    "node/ai_openai_compatible_client.mjs": AI_SDK,
    "node/ai_openai_client.mjs": [f"{mode}_{case}" for mode in ("responses", "chat") for case in AI_SDK],
    "node/continue_client.mjs": ["text", "streamed_text", "completion", "tools", "models"],
}

Verdicts = dict[str, dict[str, str | None]]


@pytest.fixture(scope="session")
def verdicts() -> Verdicts:
    """What each client said, once it was run."""
    return {}


def ask(script: str, url: str) -> dict[str, str | None]:
    """Runs a client's script, which prints its verdicts in its last line."""
    interpreter = ENVIRONMENT / ("python" if script.endswith(".py") else "node")
    assert interpreter.exists(), "run `make test`, which installs the clients"
    command = [str(interpreter), str(SCRIPTS / script), url, KEY, MODEL]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300, env=environment())
    assert done.returncode == 0, done.stderr
    told: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.parametrize(("script", "case"), [(script, case) for script, cases in CLIENTS.items() for case in cases])
def test_a_client_works(script: str, case: str, contract: tuple[str, Checked], verdicts: Verdicts) -> None:
    url, checked = contract
    if script not in verdicts:
        verdicts[script] = ask(script, url)
        assert list(verdicts[script]) == CLIENTS[script]
        checked.check()
    failure = verdicts[script][case]
    assert failure is None, failure
