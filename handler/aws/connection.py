"""One HTTP/1.1 connection to the Runtime API, kept alive: h11 knows the protocol, asyncio moves the bytes.

Every write waits until the kernel has taken it (no user-space buffer), so a slow reader slows the writer down.
A body may be sent while the answer to it is already being awaited: that is how a peer that hangs up in the
middle is noticed without a write.
"""

import asyncio
from contextlib import suppress

import h11

from handler.frozen import dataclass

READ_SIZE = 64 * 1024
# Client context and trace state travel in headers; h11's default of 16 KiB would refuse long ones.
MAX_HEADER_BYTES = 256 * 1024


class ConnectionBroken(ConnectionError):
    """The peer hung up or spoke something that is not HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete response; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """A lazily opened, reused connection to `address` (`host:port`). Not for concurrent requests."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._address = address
        self._host = host.strip("[]") or "127.0.0.1"
        self._port = int(port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._http = h11.Connection(h11.CLIENT)

    @property
    def is_open(self) -> bool:
        """False where the peer is known to have closed (it may have without our knowing)."""
        return self._streams is not None and not self._streams[0].at_eof() and not self._streams[1].is_closing()

    async def request(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """One whole exchange. Raises ConnectionBroken, or OSError where nobody listens."""
        framing = {} if method == "GET" else {"Content-Length": str(len(body))}
        await self.start(method, path, list({**headers, **framing}.items()))
        if body:
            await self.write(body)
        await self.end()
        return await self.answer()

    async def start(self, method: str, path: str, headers: list[tuple[str, str]]) -> None:
        """Sends a request's head, on the open connection if the peer has not closed it meanwhile."""
        if not self.is_open:
            await self._open()
        await self._send(h11.Request(method=method, target=path, headers=[("Host", self._address), *headers]))

    async def write(self, data: bytes) -> None:
        """Sends one piece of the body (one chunk, where the body is chunked). Returns when the kernel has it."""
        await self._send(h11.Data(data=data))

    async def end(self, trailers: list[tuple[str, str]] | None = None) -> None:
        await self._send(h11.EndOfMessage(headers=trailers or []))

    async def answer(self) -> Answer:
        """Reads the response; then the connection is ready for the next request, or closed if it cannot be."""
        head: h11.Response | None = None
        body = bytearray()
        while True:
            event = await self._receive()
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
        if head is None:
            raise ConnectionBroken("the Runtime API sent a body without a status line")
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self.close()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        return Answer(status=head.status_code, headers=headers, body=bytes(body))

    def close(self) -> None:
        """Closes at once; the next request opens anew."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _open(self) -> None:
        self.close()
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEADER_BYTES)
        reader, writer = await asyncio.open_connection(self._host, self._port)
        writer.transport.set_write_buffer_limits(high=0)
        self._streams = reader, writer

    async def _send(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        if self._streams is None:
            raise ConnectionBroken("the connection to the Runtime API is closed")
        try:
            data = self._http.send(event)
        except h11.LocalProtocolError as error:
            self.close()
            raise ConnectionBroken(f"not sendable to the Runtime API: {error}") from error
        if data:
            writer = self._streams[1]
            writer.write(data)
            await writer.drain()

    async def _receive(self) -> h11.Event:
        if self._streams is None:
            raise ConnectionBroken("the connection to the Runtime API is closed")
        reader = self._streams[0]
        try:
            event = self._http.next_event()
            while event is h11.NEED_DATA:
                self._http.receive_data(await reader.read(READ_SIZE))
                event = self._http.next_event()
        except (h11.RemoteProtocolError, OSError) as error:
            self.close()
            raise ConnectionBroken("the Runtime API hung up before it answered") from error
        if isinstance(event, h11.Event) and not isinstance(event, h11.ConnectionClosed):
            return event
        self.close()
        raise ConnectionBroken("the Runtime API hung up before it answered")

    async def wait_closed(self) -> None:
        """Closes and waits until the socket is gone (so that no warning outlives the loop)."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with suppress(OSError):
                await streams[1].wait_closed()
