"""Apps over the scripted model, in process and on a real socket; whatever they answer is held against the contract."""

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from handler.api.app import ApiConfig, create_app
from tests.contract.wire import Checked
from tests.fakes import ScriptedDecoder, chat_service

MakeClient = Callable[..., httpx.AsyncClient]
Serve = Callable[..., str]


def make_app(decoder: ScriptedDecoder | None = None, config: ApiConfig | None = None) -> FastAPI:
    return create_app({"fake-model": chat_service(decoder)}, config)


@pytest.fixture
async def make_client() -> AsyncIterator[MakeClient]:
    """An HTTP client of an app in this process (whole responses only: its streams are buffered)."""
    opened: list[httpx.AsyncClient] = []
    checked: list[Checked] = []

    def make(decoder: ScriptedDecoder | None = None, config: ApiConfig | None = None) -> httpx.AsyncClient:
        checked.append(Checked(make_app(decoder, config)))
        transport = httpx.ASGITransport(checked[-1])
        opened.append(httpx.AsyncClient(transport=transport, base_url="http://test"))
        return opened[-1]

    yield make
    for client in opened:
        await client.aclose()
    for app in checked:
        app.check()


@contextmanager
def listening(app: ASGIApp) -> Iterator[str]:
    """Serves an ASGI app on a free port of 127.0.0.1 and yields its base URL."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", ws="none", http="h11", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves the scripted model on a socket and returns the base URL."""
    checked: list[Checked] = []
    with ExitStack() as running:

        def start(decoder: ScriptedDecoder | None = None, config: ApiConfig | None = None) -> str:
            checked.append(Checked(make_app(decoder, config)))
            return running.enter_context(listening(checked[-1]))

        yield start
    for app in checked:
        app.check()
