"""The same seed is the same bytes: streamed or whole, cold or warm, alone or beside others, where answers take turns.
Leaving ends the work."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

from tests.clients.conftest import KEY
from tests.e2e.conftest import MODEL
from tests.e2e.processes import free_port, running
from tests.models import exported

QUESTIONS = ["Name three colours — and one emoji.", "Why is the sky blue?", "Write a limerick about a cat."]


@pytest.fixture(scope="module")
def client(origin: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{origin}/v1", api_key=KEY, max_retries=0) as client:
        yield client


def whole(client: openai.OpenAI, question: str, seed: int) -> str:
    answer = client.chat.completions.create(
        model=MODEL,
        seed=seed,
        temperature=0.9,
        max_completion_tokens=24,
        messages=[{"role": "user", "content": question}],
    )
    return answer.choices[0].message.content or ""


def streamed(client: openai.OpenAI, question: str, seed: int) -> str:
    stream = client.chat.completions.create(
        model=MODEL,
        seed=seed,
        temperature=0.9,
        max_completion_tokens=24,
        messages=[{"role": "user", "content": question}],
        stream=True,
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


@pytest.mark.parametrize("question", QUESTIONS)
def test_streamed_is_whole_and_warm_is_cold(client: openai.OpenAI, question: str) -> None:
    cold = whole(client, question, seed=7)
    assert streamed(client, question, seed=7) == cold
    assert whole(client, question, seed=7) == cold
    assert {whole(client, question, seed) for seed in range(3)} != {cold}


def test_another_process_answers_the_same(client: openai.OpenAI, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {"LLM_MODEL": str(exported("default", "int8")), "LLM_PORT": str(port)}
    with (
        running(["-m", "handler"], url=f"{url}/health", log=tmp_path / "log", **settings),
        openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as fresh,
    ):
        assert [whole(fresh, question, seed=7) for question in QUESTIONS] == [
            whole(client, question, seed=7) for question in QUESTIONS
        ]


def beside_each_other(client: openai.OpenAI) -> list[str]:
    with ThreadPoolExecutor(len(QUESTIONS)) as threads:
        return list(threads.map(lambda question: streamed(client, question, seed=7), QUESTIONS))


def test_an_answer_beside_others_is_the_answer_alone(client: openai.OpenAI) -> None:
    assert beside_each_other(client) == [whole(client, question, seed=7) for question in QUESTIONS]


def test_the_choices_of_one_request_are_the_same_every_time(client: openai.OpenAI) -> None:
    def choices() -> list[str | None]:
        answer = client.chat.completions.create(
            model=MODEL, seed=7, n=3, max_completion_tokens=16, messages=[{"role": "user", "content": QUESTIONS[0]}]
        )
        return [choice.message.content for choice in answer.choices]

    first = choices()
    assert choices() == first
    assert len(set(first)) > 1


def test_an_abandoned_stream_stops_computing_and_the_next_starts_at_once(client: openai.OpenAI, log: Path) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        max_completion_tokens=1500,
        messages=[{"role": "user", "content": "Count upwards from one, for ever."}],
        stream=True,
        extra_body={"ignore_eos": True},
    )
    seen = 0
    for chunk in stream:
        seen += bool(chunk.choices[0].delta.content)
        if seen == 5:
            request_id = stream.response.headers["x-request-id"]
            break
    stream.response.close()
    assert whole(client, QUESTIONS[0], seed=7)
    record = logged(log, request_id)
    # What was on its way while the client left: some tokens, not a thousand.
    assert seen <= record["completion_tokens"] < 100


def logged(log: Path, request_id: str) -> dict[str, int]:
    """The server's own line about a request, once it is there."""
    for _ in range(600):
        for line in log.read_text().splitlines():
            if request_id in line:
                found: dict[str, int] = json.loads(line)
                return found
        time.sleep(0.05)
    raise AssertionError("the request was never logged")
