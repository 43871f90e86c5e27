"""Server-sent events: one `data:` line per JSON text, and a response that sends them as they come."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, aclosing, asynccontextmanager

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from handler.scope import ERROR_TRAILERS

DONE = b"data: [DONE]\n\n"

# A proxy that buffers would turn the stream into one late block.
_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


def event(text: str) -> bytes:
    """One event. `text` holds no line break: JSON escapes them."""
    return b"data: " + text.encode() + b"\n\n"


@asynccontextmanager
async def watching(receive: Receive, on_disconnect: Callable[[], None]) -> AsyncIterator[None]:
    """Calls `on_disconnect` if the client leaves meanwhile. Only after the whole request body has been received."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        on_disconnect()

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class StreamFailed(Exception):
    """The events broke off. The client knows: the last event said so."""


class EventStream(Response):
    """Sends what `events` give, one event or several, as soon as it is there; stops where nobody listens any more.

    After a StreamFailed the body just ends, unless the server has announced that it tells its own side of a failure.

    There are two ways to learn of that, by server: a `http.disconnect` message, or a `send` that raises OSError.
    `closing` is left in the end, however that comes.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        on_disconnect: Callable[[], None],
        closing: AbstractContextManager[object],
        headers: Mapping[str, str],
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({**_HEADERS, **headers})
        self._events = events
        self._on_disconnect = on_disconnect
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._closing:
            async with aclosing(self._events), watching(receive, self._on_disconnect):
                try:
                    await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                    try:
                        async for item in self._events:
                            await send({"type": "http.response.body", "body": item, "more_body": True})
                    except StreamFailed:
                        if ERROR_TRAILERS in scope.get("extensions", {}):
                            raise
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                except OSError:
                    self._on_disconnect()
