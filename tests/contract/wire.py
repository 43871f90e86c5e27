"""Judges everything that an ASGI app answers: wrap the app, use it, and ask for the faults in the end.

A fault does not disturb the exchange, so that a client under test sees what it would see. It is told by `check`.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.contract.bodies import faults


class Checked:
    """An ASGI app whose responses are held against the contract. `seen` counts them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._faults: list[str] = []
        self.seen = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, content_type, body = 0, "", bytearray()

        async def tee(message: Message) -> None:
            nonlocal status, content_type
            if message["type"] == "http.response.start":
                status = message["status"]
                content_type = dict(message["headers"]).get(b"content-type", b"").decode()
            elif message["type"] == "http.response.body":
                body.extend(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, tee)
        finally:
            # A body that its client did not wait for is judged as far as it came, if it is a stream.
            if body and (content_type.startswith("text/event-stream") or not self._is_cut(body, content_type)):
                self.seen += 1
                self._faults += faults(scope["method"], scope["path"], status, content_type, bytes(body))

    @staticmethod
    def _is_cut(body: bytearray, content_type: str) -> bool:
        return content_type.startswith("application/json") and not body.rstrip().endswith((b"}", b"]"))

    def check(self) -> None:
        """Raises AssertionError if any response broke the contract."""
        assert self._faults == []
