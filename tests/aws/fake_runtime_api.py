"""The Lambda side of the Runtime API, in process: hands out invocations and records every POST as it came in.

h11 parses (an implementation independent of none, but the raw bytes are kept beside it); chunk boundaries,
trailers and the bytes of each request are there to be compared whole.
"""

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import h11

FAR_AWAY = 4_000_000_000_000  # ms since the epoch


@dataclass
class Post:
    """One POST: `raw` is all bytes of the request, `chunks` its body cut as it was sent."""

    path: str
    headers: list[tuple[str, str]]
    chunks: list[bytes] = field(default_factory=list)
    trailers: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""
    complete: bool = False
    closed_after: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


class FakeRuntimeApi:
    """`async with FakeRuntimeApi() as api`, then `api.invoke(event)` and `await api.post()`."""

    def __init__(self, *, hang_up_after: int | None = None, next_status: int = 200) -> None:
        self.address = ""
        self.connections = 0
        self.polls = 0
        self.polled: asyncio.Queue[int] = asyncio.Queue()
        self.hang_up_after = hang_up_after
        self.next_status = next_status
        self.reading = asyncio.Event()
        self.reading.set()
        self.restoring = asyncio.Event()
        self.restored = asyncio.Event()
        self.restored.set()
        self.seen_chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._invocations: asyncio.Queue[tuple[list[tuple[str, str]], bytes]] = asyncio.Queue()
        self._posts: asyncio.Queue[Post] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def invoke(self, event: Any, request_id: str = "id-1", *, deadline_ms: int = FAR_AWAY, **headers: str) -> None:
        """Queues one invocation; `event` is bytes, or made JSON. Keywords become headers, `_` for `-`."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        head = [
            ("Lambda-Runtime-Aws-Request-Id", request_id),
            ("Lambda-Runtime-Deadline-Ms", str(deadline_ms)),
            ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:f"),
            *((name.replace("_", "-"), value) for name, value in headers.items()),
        ]
        self._invocations.put_nowait((head, body))

    async def post(self) -> Post:
        return await asyncio.wait_for(self._posts.get(), 10)

    async def chunk(self) -> bytes:
        """The next chunk of any POST, as soon as it has arrived."""
        return await asyncio.wait_for(self.seen_chunks.get(), 10)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, h11.RemoteProtocolError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER)
        raw = bytearray()

        async def event() -> Any:
            while (found := http.next_event()) is h11.NEED_DATA:
                await self.reading.wait()
                data = await reader.read(65536)
                raw.extend(data)
                http.receive_data(data)
            return found

        async def reply(status: int, body: bytes = b"", headers: list[tuple[str, str]] | None = None) -> None:
            head = [*(headers or []), ("Content-Length", str(len(body)))]
            writer.write(http.send(h11.Response(status_code=status, headers=head)))
            writer.write(http.send(h11.Data(data=body)) + http.send(h11.EndOfMessage()))
            await writer.drain()
            http.start_next_cycle()
            raw.clear()

        while isinstance(request := await event(), h11.Request):
            path = request.target.decode().removeprefix("/2018-06-01/runtime")
            if request.method == b"GET":
                assert isinstance(await event(), h11.EndOfMessage)
                if path == "/restore/next":
                    self.restoring.set()
                    await self.restored.wait()
                    await reply(200)
                    continue
                assert path == "/invocation/next"
                self.polls += 1
                self.polled.put_nowait(self.polls)
                head, body = await self._invocations.get()
                await reply(self.next_status, body, [*head, ("Content-Type", "application/json")])
                continue
            names = [(name.decode(), value.decode()) for name, value in request.headers.raw_items()]
            post = Post(path=path, headers=names)
            if not await self._read_body(post, event):
                post.raw = bytes(raw)
                self._posts.put_nowait(post)
                writer.transport.abort()
                return
            post.complete, post.raw = True, bytes(raw)
            await reply(202)
            if post.trailers:
                post.closed_after = await reader.read(1) == b""
            self._posts.put_nowait(post)

    async def _read_body(self, post: Post, event: Any) -> bool:
        chunk = b""
        while True:
            try:
                got = await event()
            except (h11.RemoteProtocolError, ConnectionError):
                return False
            if isinstance(got, h11.EndOfMessage):
                post.trailers = {name.decode(): value.decode() for name, value in got.headers.raw_items()}
                return True
            chunk += bytes(got.data)
            if got.chunk_end or not post.header("Transfer-Encoding"):
                post.chunks.append(chunk)
                self.seen_chunks.put_nowait(chunk)
                chunk = b""
            if len(post.chunks) == self.hang_up_after:
                return False


def function_url(
    path: str = "/v1/models", method: str = "GET", body: str | None = None, **extra: Any
) -> dict[str, Any]:
    """A Function URL's event (payload 2.0)."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "abc.lambda-url.us-east-1.on.aws", "x-forwarded-port": "443", "x-forwarded-proto": "https"},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abc",
            "domainName": "abc.lambda-url.us-east-1.on.aws",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4", "userAgent": "x"},
            "requestId": "r",
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": False,
    }
    if body is not None:
        event["body"] = body
    return {**event, **extra}
