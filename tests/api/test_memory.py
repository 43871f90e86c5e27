"""Memory over HTTP: what could never fit is 400, what does not fit now 503, and all is given back however it ends."""

import asyncio
import string
from dataclasses import dataclass, replace

import httpx
import pytest

from handler.api.app import create_app
from handler.api.ledger import Ledger
from handler.api.shelf import Shelf
from handler.chat.service import ChatService
from handler.engine.footprint import Footprint
from tests.api.conftest import listening
from tests.contract.wire import Checked
from tests.fakes import ScriptedDecoder, ScriptedSession, chat_service

CHAT = "/v1/chat/completions"
ROOM = 2000  # bytes; a token takes ten
ASKED = {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}]}


@dataclass
class Short(ScriptedDecoder):
    """Has no memory for its first prompts, `short` times."""

    short: int = 0

    def open(self) -> ScriptedSession:
        self.short -= 1
        if self.short >= 0:
            raise MemoryError
        return super().open()


def served(decoder: ScriptedDecoder | None = None) -> tuple[Checked, Ledger]:
    model = replace(chat_service(decoder).model, footprint=Footprint(position=4, logits=0))
    ledger = Ledger(ROOM)
    return Checked(create_app({"fake-model": ChatService(model)}, shelf=Shelf(ledger=ledger))), ledger


def client_of(app: Checked) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", timeout=30)


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "x" * 300}]}, "messages"),
        (CHAT, {"n": 8, "max_tokens": 50}, "n"),
        (CHAT, {"max_tokens": 2000}, "max_tokens"),
        ("/v1/completions", {"prompt": "x" * 300}, "prompt"),
        ("/v1/completions", {"prompt": ["x", "x" * 300]}, "prompt"),
        ("/v1/responses", {"input": "x" * 300}, "input"),
        ("/v1/responses", {"input": "x", "max_output_tokens": 2000}, "max_output_tokens"),
    ],
)
async def test_what_could_never_fit_is_refused_by_the_field_that_is_too_large(
    path: str, fields: dict[str, object], param: str
) -> None:
    app, ledger = served()
    base = ASKED if path == CHAT else {"model": "fake-model"}
    async with client_of(app) as client:
        refused = await client.post(path, json={**base, **fields})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
        assert param in refused.json()["error"]["message"]
        assert (await client.post(CHAT, json={**ASKED, "max_tokens": 5})).status_code == 200
    assert ledger.free == ROOM


async def test_an_answer_of_open_length_ends_where_memory_does() -> None:
    app, ledger = served(ScriptedDecoder("x" * 1000))
    async with client_of(app) as client:
        answer = (await client.post(CHAT, json=ASKED)).json()
    assert (answer["choices"][0]["finish_reason"], answer["usage"]["total_tokens"]) == ("length", ROOM // 10)
    assert ledger.free == ROOM


async def test_what_does_not_fit_beside_others_is_to_be_tried_again() -> None:
    app, ledger = served(ScriptedDecoder(string.ascii_letters, step_seconds=0.05))
    with listening(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            first = {**ASKED, "max_tokens": 100, "stream": True}
            async with client.stream("POST", CHAT, json=first) as stream:
                lines = stream.aiter_lines()
                await anext(lines)
                assert ledger.free < 1000
                busy = await client.post(CHAT, json={**ASKED, "max_tokens": 100})
                assert (busy.status_code, busy.json()["error"]["code"]) == (503, "out_of_memory")
                assert (busy.headers["retry-after"], busy.headers["x-should-retry"]) == ("1", "true")
            # The client has left in the middle of the answer.
            for _ in range(200):
                if ledger.free == ROOM:
                    break
                await asyncio.sleep(0.05)
            assert ledger.free == ROOM
            assert (await client.post(CHAT, json={**ASKED, "max_tokens": 100})).status_code == 200


async def test_a_fault_gives_back_what_was_reserved() -> None:
    app, ledger = served(ScriptedDecoder(fail_at=1))
    async with client_of(app) as client:
        assert (await client.post(CHAT, json={**ASKED, "max_tokens": 9})).status_code == 500
    assert ledger.free == ROOM


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_an_allocation_that_fails_is_told_and_the_next_request_works(stream: bool) -> None:
    app, ledger = served(Short(short=1))
    async with client_of(app) as client:
        failed = await client.post(CHAT, json={**ASKED, "max_tokens": 9, "stream": stream})
        assert failed.status_code == (200 if stream else 503)
        assert '"code":"out_of_memory"' in failed.text
        assert "[DONE]" not in failed.text
        answer = (await client.post(CHAT, json={**ASKED, "max_tokens": 9})).json()
    assert answer["choices"][0]["message"]["content"] == "Hello."
    assert ledger.free == ROOM
