"""An HTTP/1.1 server for both sides of the emulator: h11 does the protocol, this file the sockets."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence

import h11

HOST = "127.0.0.1"
READ_SIZE = 64 * 1024


class BodyTooLargeError(Exception):
    """The request's body was over the limit; it was read and thrown away."""


class HttpConnection:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._h11 = h11.Connection(h11.SERVER)

    @property
    def peer(self) -> str:
        """The client's address."""
        return str(self._writer.get_extra_info("peername", ("127.0.0.1",))[0])

    @property
    def port(self) -> int:
        """Our own port."""
        return int(self._writer.get_extra_info("sockname", ("", 0))[1])

    @property
    def reusable(self) -> bool:
        """Both sides are done and neither wants to close."""
        return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE

    @property
    def started(self) -> bool:
        """The response's head has been sent."""
        return self._h11.our_state not in (h11.IDLE, h11.SEND_RESPONSE)

    async def event(self) -> h11.Event:
        """The next event from the client. Raises h11.RemoteProtocolError for what is not HTTP."""
        while True:
            event = self._h11.next_event()
            if event is h11.PAUSED:
                return h11.ConnectionClosed()
            if isinstance(event, h11.Event):
                return event
            if self._h11.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            self._h11.receive_data(await self._reader.read(READ_SIZE))

    async def body(self, limit: int) -> bytes:
        """The rest of the request. Raises BodyTooLargeError above `limit` bytes."""
        body = bytearray()
        size = 0
        while not isinstance(event := await self.event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise h11.RemoteProtocolError("the request ended before its body was whole")
            size += len(event.data)
            if size <= limit:
                body += event.data
        if size > limit:
            raise BodyTooLargeError
        return bytes(body)

    async def send(self, *events: h11.Event) -> None:
        """Write events at once; waits only while the client is slower than we are."""
        for event in events:
            self._writer.write(self._h11.send(event) or b"")
        await self._writer.drain()

    async def respond(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """A whole answer of known length."""
        framed = [*headers.items(), ("content-length", str(len(body)))]
        await self.send(
            h11.Response(status_code=status, headers=framed),
            *([h11.Data(data=body)] if body else []),
            h11.EndOfMessage(),
        )

    async def gone(self) -> None:
        """Returns when the client has closed its side; what it sends meanwhile is kept for later."""
        with contextlib.suppress(ConnectionError):
            while data := await self._reader.read(READ_SIZE):
                self._h11.receive_data(data)

    def next_cycle(self) -> None:
        """Get ready for another request on this connection."""
        self._h11.start_next_cycle()

    async def close(self) -> None:
        """Close the socket. In the middle of a body this is what cuts the answer off: nothing ends it properly."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


Respond = Callable[[HttpConnection, h11.Request], Awaitable[None]]


class HttpServer:
    """Listens on 127.0.0.1 and calls `respond` for each request. An unfinished response cuts the connection."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> int:
        """Listen; returns the port, which is a free one for 0. Raises OSError where it is taken."""
        self._server = await asyncio.start_server(self._accept, HOST, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def drop_connections(self) -> None:
        """Close every open connection, whatever it was doing."""
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
            await self.drop_connections()
            await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(HttpConnection(reader, writer)))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, connection: HttpConnection) -> None:
        try:
            while isinstance(request := await connection.event(), h11.Request):
                await self._respond(connection, request)
                if not connection.reusable:
                    break
                connection.next_cycle()
        except h11.RemoteProtocolError as error:
            if not connection.started:
                with contextlib.suppress(ConnectionError, h11.LocalProtocolError):
                    await connection.respond(error.error_status_hint, {"connection": "close"})
        except (ConnectionError, h11.LocalProtocolError):
            pass  # The client has gone, or the function's answer breaks HTTP's rules: all that is left is to close.
        finally:
            await connection.close()


def text_headers(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """h11's headers (names already in lower case) as text."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
