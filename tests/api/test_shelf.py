"""Models that are loaded on first use, and dropped where others need their memory."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from handler.api.app import create_app
from handler.api.ledger import Ledger
from handler.api.shelf import AFTER_A_FAILURE, Shelf, Slot
from handler.chat.card import ModelCard
from handler.chat.service import ChatService
from handler.errors import ArtifactError, ConfigurationError
from handler.scope import DEADLINE
from tests.api.conftest import listening
from tests.contract.wire import Checked
from tests.embedding_fakes import embedding_service
from tests.fakes import ScriptedDecoder, chat_service

CHAT = "/v1/chat/completions"


@dataclass
class Loader:
    """Loads a model that says its name. `gate`: it waits until that is set; `faults`: what goes wrong, in turn."""

    name: str
    gate: threading.Event = field(default_factory=threading.Event)
    faults: list[Exception] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    loads: int = 0
    step_seconds: float = 0.0

    def __call__(self) -> ChatService:
        self.loads += 1
        self.begun.set()
        assert self.gate.wait(timeout=30)
        if self.faults:
            raise self.faults.pop(0)
        return chat_service(ScriptedDecoder(f"I am {self.name}.", step_seconds=self.step_seconds), name=self.name)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def loaders(*names: str) -> dict[str, Loader]:
    """Each loads at once."""
    found = {name: Loader(name) for name in names}
    for loader in found.values():
        loader.gate.set()
    return found


def slots(loading: dict[str, Loader], nbytes: int = 10) -> dict[str, Slot[ChatService]]:
    return {name: slot(name, loader, nbytes) for name, loader in loading.items()}


def slot(name: str, load: Callable[[], ChatService], nbytes: int = 10) -> Slot[ChatService]:
    card = ModelCard(name=name, created=7, context_window=4096, recommended={"temperature": 0})
    return Slot(card, nbytes=nbytes, load=load)


def app_of(served: dict[str, Slot[ChatService]], **shelf: Any) -> FastAPI:
    return create_app(served, shelf=Shelf(list(served.values()), **shelf))


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(Checked(app)), base_url="http://test", timeout=30)


async def ask(client: httpx.AsyncClient, model: str, **fields: object) -> httpx.Response:
    asked = {"model": model, "messages": [{"role": "user", "content": "Who?"}], **fields}
    return await client.post(CHAT, json=asked)


async def told_by(client: httpx.AsyncClient, model: str) -> str:
    text: str = (await ask(client, model)).json()["choices"][0]["message"]["content"]
    return text


async def test_models_are_listed_and_not_loaded_for_it() -> None:
    loading = loaders("one", "two")
    async with client_of(app_of(slots(loading))) as client:
        listed = (await client.get("/v1/models")).json()["data"]
        one = (await client.get("/v1/models/one")).json()
    assert [model["id"] for model in listed] == ["one", "two"]
    assert one == {"id": "one", "object": "model", "created": 7, "owned_by": "lambda-llm", "max_model_len": 4096}
    assert [loader.loads for loader in loading.values()] == [0, 0]


async def test_the_first_request_loads_its_model_and_no_other() -> None:
    loading = loaders("one", "two")
    async with client_of(app_of(slots(loading))) as client:
        assert [await told_by(client, "two") for _ in range(2)] == ["I am two."] * 2
    assert [loader.loads for loader in loading.values()] == [0, 1]


async def test_every_endpoint_of_a_chat_model_loads_it() -> None:
    asked = {
        "/v1/completions": {"prompt": "a", "max_tokens": 1},
        "/v1/responses": {"input": "a"},
        "/tokenize": {"prompt": "a"},
        "/detokenize": {"tokens": [97]},
    }
    for path, body in asked.items():
        loading = loaders("one")
        async with client_of(app_of(slots(loading))) as client:
            answer = await client.post(path, json={"model": "one", **body})
        assert (path, answer.status_code, loading["one"].loads) == (path, 200, 1)


async def test_an_embedding_model_is_loaded_by_its_first_request() -> None:
    loads: list[str] = []

    def load() -> Any:
        loads.append("embedder")
        return embedding_service()

    card = ModelCard(name="embedder", created=7, context_window=12)
    embedder = Slot(card, nbytes=1, load=load)
    app = create_app({"fake-model": chat_service()}, embeddings={"embedder": embedder}, shelf=Shelf([embedder]))
    async with client_of(app) as client:
        assert (await ask(client, "embedder")).status_code == 404
        assert loads == []
        answer = await client.post("/v1/embeddings", json={"model": "embedder", "input": "ab"})
    assert (answer.status_code, loads) == (200, ["embedder"])


async def test_who_comes_together_waits_for_one_load_and_nobody_else_waits() -> None:
    slow, here = Loader("slow"), loaders("here")
    async with client_of(app_of(slots({"slow": slow, **here}))) as client:
        assert await told_by(client, "here") == "I am here."
        waiting = [asyncio.create_task(told_by(client, "slow")) for _ in range(5)]
        assert await asyncio.to_thread(slow.begun.wait, 30)
        assert await told_by(client, "here") == "I am here."
        assert not any(task.done() for task in waiting)
        slow.gate.set()
        assert await asyncio.gather(*waiting) == ["I am slow."] * 5
    assert slow.loads == 1


async def test_the_least_recently_used_model_makes_room() -> None:
    loading = loaders("one", "two", "three")
    freed: list[None] = []
    app = app_of(slots(loading), budget=20, after_dropping=lambda: freed.append(None))
    async with client_of(app) as client:
        for name in ("one", "two", "one", "three", "one"):
            assert await told_by(client, name) == f"I am {name}."
        assert (loading["one"].loads, len(freed)) == (1, 1)
        assert await told_by(client, "two") == "I am two."
    assert [loader.loads for loader in loading.values()] == [1, 2, 1]


async def test_a_model_with_an_answer_in_flight_is_not_dropped() -> None:
    loading = loaders("one", "two")
    loading["one"].step_seconds = 0.05
    app = Checked(app_of(slots(loading), budget=10))
    with listening(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            asked = {"model": "one", "messages": [{"role": "user", "content": "Who?"}], "stream": True}
            async with client.stream("POST", CHAT, json=asked) as stream:
                lines = stream.aiter_lines()
                await anext(lines)
                refused = await ask(client, "two")
                assert refused.status_code == 503
                assert (refused.headers["retry-after"], refused.headers["x-should-retry"]) == ("1", "true")
                assert refused.json()["error"]["code"] == "model_not_loaded"
                rest = [line async for line in lines if line]
            assert rest[-1] == "data: [DONE]"
            assert await told_by(client, "two") == "I am two."


async def test_a_model_is_free_again_after_a_request_that_was_refused_or_left() -> None:
    loading = loaders("one", "two")
    served = slots(loading)
    async with client_of(app_of(served, budget=10)) as client:
        assert (await ask(client, "one", max_tokens=0)).status_code == 400
        assert (await ask(client, "one", messages=[{"role": "user", "content": "x" * 5000}])).status_code == 400
        assert [found.users for found in served.values()] == [0, 0]
        assert await told_by(client, "two") == "I am two."
    assert [found.users for found in served.values()] == [0, 0]


@pytest.mark.parametrize("fault", [ArtifactError("m.onnx does not have its sha256"), MemoryError(), RuntimeError("x")])
async def test_a_model_that_cannot_be_loaded_is_unavailable_for_a_while_and_then_tried_anew(fault: Exception) -> None:
    loading, clock = loaders("broken", "other"), Clock()
    loading["broken"].faults.append(fault)
    ledger = Ledger(100)
    async with client_of(app_of(slots(loading), ledger=ledger, clock=clock)) as client:
        for _ in range(2):
            refused = await ask(client, "broken")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, str(AFTER_A_FAILURE))
            assert "sha256" not in refused.text
        assert (loading["broken"].loads, ledger.free) == (1, 100)
        assert await told_by(client, "other") == "I am other."
        clock.now += AFTER_A_FAILURE
        assert await told_by(client, "broken") == "I am broken."
    assert ledger.free == 80


async def test_waiting_for_a_model_counts_against_the_request_and_the_load_goes_on() -> None:
    slow = Loader("slow")
    app = app_of(slots({"slow": slow}))

    async def with_deadline(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": {DEADLINE: 0.0}}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(with_deadline), base_url="http://test") as hurried:
        late = await ask(hurried, "slow")
    assert (late.status_code, late.json()["error"]["code"]) == (504, "deadline_exceeded")
    slow.gate.set()
    async with client_of(app) as client:
        assert await told_by(client, "slow") == "I am slow."
    assert slow.loads == 1


def test_a_model_that_would_never_fit_is_refused_at_start() -> None:
    served: Sequence[Slot[Any]] = [slot("huge", Loader("huge"), 3 * 2**20)]
    with pytest.raises(ConfigurationError, match="huge takes about 3 MB of memory, and there are 2 MB for models"):
        Shelf(served, budget=2 * 2**20)
    with pytest.raises(ConfigurationError, match="huge takes about 3 MB of memory, and there are 1 MB for models"):
        Shelf(served, ledger=Ledger(2**20))


def test_models_that_are_there_at_start_have_to_fit_together() -> None:
    served = [slot(name, Loader(name), 2 * 2**20) for name in ("one", "two")]
    for found in served:
        found.service = chat_service()
    with pytest.raises(ConfigurationError, match="loaded at start take about 4 MB of memory, and there are 3 MB"):
        Shelf(served, budget=3 * 2**20)


async def test_recommendations_hold_before_the_model_is_loaded() -> None:
    loading = loaders("one")
    served = slots(loading)
    served["one"].card = replace(served["one"].card, recommended={"temperature": 3})
    async with client_of(app_of(served)) as client:
        refused = await ask(client, "one")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "temperature")
    assert loading["one"].loads == 0
