"""Counts what limited keys use, around every request, as plain ASGI: tells limits in headers, and settles in the end.

In the end means behind the last byte of the answer and before the end of the response. The client has everything then,
and Lambda, which freezes the process when the response ends, has not done so yet.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handler.api.auth import key_of
from handler.api.quota import METER, Quotas
from handler.record import RequestRecord


class Metering:
    """ASGI middleware, inside Authentication. Puts a Meter into the scope of each request of a limited key."""

    def __init__(self, app: ASGIApp, quotas: Quotas) -> None:
        self._app = app
        self._quotas = quotas

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = key_of(scope)
        meter = None if key is None else self._quotas.meter(key)
        if meter is None:
            await self._app(scope, receive, send)
            return
        record = RequestRecord.of(scope)

        async def settle() -> None:
            used = _used(record)
            if used is not None:
                await meter.settle(used)

        async def send_metered(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(meter.headers)
            elif meter.has_reserved and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await settle()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        try:
            await self._app({**scope, METER: meter}, receive, send_metered)
        finally:
            await settle()


def _used(record: RequestRecord) -> int | None:
    """Tokens, as far as they are known: an answer that was not given costs nothing. None: nobody counted them."""
    refused = record.status is None or record.status >= 400
    if refused and not record.disconnected:
        return 0
    if record.complete or record.prompt_tokens:
        return (record.prompt_tokens or 0) + (record.completion_tokens or 0)
    return None
