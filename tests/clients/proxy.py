"""An ASGI app that passes every request on to a live server, and its answer back as it comes.

Between a client that is not ours and the server, it lets `tests.contract.wire` read along.
"""

from collections.abc import Iterable

import httpx
from starlette.types import Receive, Scope, Send

# Headers that belong to one connection, not to the exchange (RFC 9110, 7.6.1), and what httpx writes itself.
HOP_BY_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"te", b"trailer", b"upgrade", b"host"}


class ReverseProxy:
    """Passes on to `origin`, a base URL without a path. Each request has a connection of its own."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        url = self._origin + scope["raw_path"].decode() + query
        sent = {"headers": end_to_end(scope["headers"]), "content": bytes(body), "timeout": None}
        async with httpx.AsyncClient() as client, client.stream(scope["method"], url, **sent) as answer:
            headers = end_to_end(answer.headers.raw)
            await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
            async for part in answer.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body"})


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in headers if name.lower() not in HOP_BY_HOP]
