"""One ASGI request whose answer is streamed to the Runtime API: the `receive` and `send` that the app is given.

waiting ─ http.response.start ─► streaming ─ last body ─► complete
                                     └─ the reader leaves ─► gone: send raises OSError, receive says disconnect
"""

import asyncio
from enum import StrEnum

from handler.aws.asgi import Message
from handler.aws.failures import Fault, Response
from handler.aws.prelude import prelude
from handler.aws.runtime_client import Invocation, ResponseStream, RuntimeClient


class Phase(StrEnum):
    WAITING = "waiting"
    STREAMING = "streaming"
    COMPLETE = "complete"
    GONE = "gone"


class ReaderGone(OSError):
    """What ASGI 2.4 asks `send` to raise once the client has disconnected."""


class Exchange:
    """Each body message of the application becomes one HTTP chunk, flushed before `send` returns."""

    def __init__(
        self, client: RuntimeClient, invocation: Invocation, *, body: bytes = b"", method: str = "GET"
    ) -> None:
        self.phase = Phase.WAITING
        self.status = 0
        self.sent_bytes = 0
        self._client = client
        self._invocation = invocation
        self._body: bytes | None = body
        self._method = method
        self._stream: ResponseStream | None = None
        self._over = asyncio.Event()

    async def receive(self) -> Message:
        """The whole body once; after it, only the disconnect."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Raises ReaderGone where nobody reads on, RuntimeError for a message out of order."""
        if self.phase is Phase.GONE:
            raise ReaderGone("the client has disconnected")
        try:
            if message["type"] == "http.response.start" and self.phase is Phase.WAITING:
                await self._start(message)
            elif message["type"] == "http.response.body" and self._stream and self.phase is Phase.STREAMING:
                await self._write(self._stream, message)
            else:
                raise RuntimeError(f"{message['type']} cannot be sent while the answer is {self.phase}")
        except OSError as error:
            self._set_gone()
            raise ReaderGone("the client has disconnected") from error

    async def respond(self, response: Response) -> None:
        """A complete answer that no application made."""
        await self.send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        await self.send({"type": "http.response.body", "body": response.body})

    async def fail(self, fault: Fault) -> None:
        """Tells Lambda that no more will come: as an error if nothing was sent, else in the stream's trailers."""
        if self._stream is None:
            await self._client.error(self._invocation, fault)
        elif self.phase is Phase.STREAMING:
            await self._stream.fail(fault)

    async def close(self) -> None:
        """Frees what an abandoned answer still holds."""
        self._over.set()
        if self._stream and self.phase is Phase.GONE:
            await self._stream.abandon()

    async def _start(self, message: Message) -> None:
        self.status = int(message["status"])
        self._stream = await self._client.respond_streaming(self._invocation, self._set_gone)
        self.phase = Phase.STREAMING
        await self._stream.write(prelude(self.status, message.get("headers", ())))

    async def _write(self, stream: ResponseStream, message: Message) -> None:
        body = bytes(message.get("body", b""))
        if body and not self._has_no_body():
            await stream.write(body)
            self.sent_bytes += len(body)
        if not message.get("more_body", False):
            await stream.end()
            self.phase = Phase.COMPLETE
            self._over.set()

    def _has_no_body(self) -> bool:
        return self._method == "HEAD" or self.status in (204, 304)

    def _set_gone(self) -> None:
        if self.phase is not Phase.COMPLETE:
            self.phase = Phase.GONE
            self._over.set()
