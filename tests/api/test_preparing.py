"""While one request is being prepared, the others' answers go on."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace

import httpx

from handler.api.app import create_app
from handler.chat.service import ChatService
from handler.engine.grammar import GrammarSpec
from handler.engine.ports import Grammar
from handler.errors import InvalidRequest
from tests.fakes import chat_service

CHAT = "/v1/chat/completions"
ASKED = {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}


class SlowCompiler:
    """Takes as long as it is told, and then refuses."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()

    def compile(self, _spec: GrammarSpec, *, param: str) -> Callable[[], Grammar]:
        self.begun.set()
        assert self.may_end.wait(timeout=30)
        raise InvalidRequest("No.", param=param)


async def test_a_grammar_that_takes_long_stalls_nobody_else() -> None:
    compiler = SlowCompiler()
    service = ChatService(replace(chat_service().model, grammars=compiler))
    transport = httpx.ASGITransport(create_app({"fake-model": service}))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        limited = asyncio.create_task(client.post(CHAT, json={**ASKED, "response_format": {"type": "json_object"}}))
        assert await asyncio.to_thread(compiler.begun.wait, 30)
        free = await client.post(CHAT, json=ASKED)
        assert free.json()["choices"][0]["message"]["content"] == "Hello."
        assert not limited.done()
        compiler.may_end.set()
        assert (await limited).status_code == 400
