"""An embedding model beside the chat model: the server and the local Lambda, through the official client."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.e2e.conftest import KEY, MODEL
from tests.e2e.processes import free_port, running
from tests.models import exported

EMBEDDER = "all-MiniLM-L6-v2"


@pytest.fixture(scope="module", params=[["handler"], ["lambda_local"]], ids=["laptop", "lambda"])
def client(
    request: pytest.FixtureRequest, default_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[openai.OpenAI]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        "LLM_MODEL": str(default_model),
        "LLM_EMBEDDING_MODEL": str(exported("default-embedding", "int8")),
        "LLM_EMBEDDING_MODEL_ALIAS": "text-embedding-3-small",
        "LLM_API_KEYS": KEY,
        "LLM_PORT": str(port),
    }
    command = ["-m", *request.param, *(["--port", str(port)] if request.param == ["lambda_local"] else [])]
    log = tmp_path_factory.mktemp("embeddings") / "log"
    with (
        running(command, url=url + "/health", log=log, **settings),
        openai.OpenAI(base_url=url + "/v1", api_key=KEY, max_retries=0) as client,
    ):
        yield client


def test_both_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL, EMBEDDER, "text-embedding-3-small"]


def test_a_question_is_nearest_to_its_answer(client: openai.OpenAI) -> None:
    texts = ["What is the capital of France?", "Paris is the capital of France.", "Cats sleep for most of the day."]
    answer = client.embeddings.create(model="text-embedding-3-small", input=texts)
    question, right, wrong = (item.embedding for item in answer.data)
    assert dot(question, question) == pytest.approx(1)
    assert dot(question, right) > 0.7 > 0.2 > dot(question, wrong)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 9 + 9 + 10


def dot(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def test_the_chat_model_answers_beside_it(client: openai.OpenAI) -> None:
    said = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        temperature=0,
        max_tokens=8,
    )
    assert "Paris" in (said.choices[0].message.content or "")


def test_a_text_that_is_too_long_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="maximum context length is 256 tokens"):
        client.embeddings.create(model=EMBEDDER, input="word " * 300)
