"""Several real models in one process, through the official client: loaded on first use, dropped for one another."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

from handler.process_memory import resident_bytes
from tests.e2e.conftest import MODEL
from tests.e2e.processes import environment, free_port, running
from tests.models import exported

MB = 2**20


@pytest.fixture(scope="module")
def places(default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two further models, and one whose weights were damaged."""
    damaged = tmp_path_factory.mktemp("models") / "damaged"
    shutil.copytree(default_model, damaged)
    with (damaged / "model.onnx.data").open("r+b") as weights:
        weights.write(b"damage")
    embedder = exported("default-embedding", "int8")
    return f"twin={default_model},{embedder},damaged={damaged}"


@pytest.fixture(scope="module")
def server(
    default_model: Path, places: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[openai.OpenAI, subprocess.Popen[bytes]]]:
    """With room for one chat model at a time."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("server") / "log"
    settings = {"LLM_MODEL": str(default_model), "LLM_MODELS": places, "LLM_MODELS_MB": "350", "LLM_PORT": str(port)}
    with (
        running(["-m", "handler"], url=url + "/health", log=log, **settings) as process,
        openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0, timeout=120) as client,
    ):
        yield client, process


def capital(client: openai.OpenAI, model: str) -> str:
    said = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        temperature=0,
        max_tokens=8,
    )
    return said.choices[0].message.content or ""


def test_models_take_turns_in_memory_and_give_it_back(
    server: tuple[openai.OpenAI, subprocess.Popen[bytes]],
) -> None:
    client, process = server
    assert [model.id for model in client.models.list()] == [MODEL, "twin", "damaged", "all-MiniLM-L6-v2"]
    found = []
    for _ in range(3):
        for model in ("twin", MODEL):
            assert "Paris" in capital(client, model)
        found.append(resident_bytes(Path(f"/proc/{process.pid}/status")))
    assert max(found) - min(found) < 100 * MB  # less than the weights of one


def test_who_comes_together_gets_answers_while_a_model_is_loaded(
    server: tuple[openai.OpenAI, subprocess.Popen[bytes]],
) -> None:
    client, _ = server
    capital(client, MODEL)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: capital(client, "twin"), range(4)))
    assert all("Paris" in answer for answer in answers)


def test_an_embedding_model_among_them_embeds(server: tuple[openai.OpenAI, subprocess.Popen[bytes]]) -> None:
    client, _ = server
    assert len(client.embeddings.create(model="all-MiniLM-L6-v2", input="hi").data[0].embedding) == 384
    with pytest.raises(openai.NotFoundError, match="all-MiniLM-L6-v2"):
        capital(client, "all-MiniLM-L6-v2")


def test_a_damaged_model_is_unavailable_and_the_others_answer(
    server: tuple[openai.OpenAI, subprocess.Popen[bytes]],
) -> None:
    client, _ = server
    with pytest.raises(openai.InternalServerError) as caught:
        capital(client, "damaged")
    assert (caught.value.status_code, caught.value.code) == (503, "model_not_loaded")
    assert caught.value.response.headers["retry-after"] == "10"
    assert "Paris" in capital(client, MODEL)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"LLM_MODELS": "{model}"}, f"Two models are both named {MODEL}"),
        ({"LLM_MODELS": "twin={model}", "LLM_MODELS_MB": "100"}, "give LLM_MODELS_MB or LLM_MEMORY_MB more"),
        ({"LLM_MODELS": "/nowhere"}, "/nowhere holds no manifest.json"),
        ({"LLM_MEMORY_MB": "300"}, "give LLM_MODELS_MB or LLM_MEMORY_MB more"),
    ],
    ids=["the same name twice", "too large for the budget", "not there", "too large for the process"],
)
def test_what_can_never_be_served_is_refused_at_start(settings: dict[str, str], told: str, default_model: Path) -> None:
    filled = {name: value.replace("{model}", str(default_model)) for name, value in settings.items()}
    started = subprocess.run(
        [sys.executable, "-m", "handler"],
        env=environment(LLM_MODEL=str(default_model), LLM_PORT=str(free_port()), **filled),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (started.returncode, told in started.stderr) == (1, True), json.dumps(started.stderr)
