"""The buffered mode: the same requests as when streaming, answered whole, in the shape that the event's source expects.

For callers that cannot stream (Invoke, HTTP API, ALB, `sam local invoke`). Text travels as text, the rest as base64;
a stream of server-sent events arrives as one text.
"""

import asyncio
import json
import os
from typing import Any

from handler.aws.asgi import ASGIApp, Headers, Message, State
from handler.aws.context import TRACE_VARIABLE, request_state
from handler.aws.events import Event, Request, Translator, UnsupportedEvent, as_event, parse_event
from handler.aws.failures import IncompleteResponse, Response, error_response
from handler.errors import InvalidRequest, ServerFault
from handler.record import RequestLog, RequestRecord
from handler.scope import RECORD
from handler.trace_id import xray_trace_id

# Lambda refuses larger answers, and the caller would only learn that the function failed. In bytes of JSON.
MAX_RESPONSE_BYTES = 6 * 1024 * 1024
# JSON can make six bytes of one ("\\u0000"): bodies smaller than this cannot break the limit.
SURELY_FITS = MAX_RESPONSE_BYTES // 6 - 64 * 1024
TOO_LARGE = (
    "The answer is larger than the 6 MB that a buffered Lambda response may have: ask for fewer tokens or choices, or "
    "call an endpoint that streams."
)


class Collector:
    """The `receive` and `send` of one request, which keep the answer until it is whole."""

    def __init__(self) -> None:
        self.request: bytes | None = b""
        self.status = 0
        self.headers: Headers = []
        self.body = bytearray()
        self.complete = asyncio.Event()

    async def receive(self) -> Message:
        if self.request is not None:
            body, self.request = self.request, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.complete.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Raises RuntimeError for a message out of order."""
        if message["type"] == "http.response.start" and not self.status:
            self.status = int(message["status"])
            self.headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
        elif message["type"] == "http.response.body" and self.status and not self.complete.is_set():
            self.body += message.get("body", b"")
            if not message.get("more_body", False):
                self.complete.set()
        else:
            raise RuntimeError(f"{message['type']} cannot be sent at this point of the answer")


class BufferedHandler:
    """A Lambda handler, as a coroutine, for one application whose lifespan `state` is at hand."""

    def __init__(self, app: ASGIApp, *, state: State, margin_ms: int, log: RequestLog | None = None) -> None:
        self._app = app
        self._state = state
        self._margin_ms = margin_ms
        self._log = log or RequestLog()
        self._translate = Translator(app)

    async def __call__(self, event: object, context: Any) -> dict[str, Any]:
        """The proxy answer. Raises UnsupportedEvent where there is no HTTP caller to answer."""
        record = self._log.begin(
            aws_request_id=context.aws_request_id, trace_id=xray_trace_id(os.environ.get(TRACE_VARIABLE))
        )
        try:
            request = self._request(event, context, record)
            response = await self._respond(request, record)
            reply = request.reply(response.status, response.headers, response.body)
            if len(response.body) > SURELY_FITS and len(json.dumps(reply)) > MAX_RESPONSE_BYTES:
                error = ServerFault(TOO_LARGE, code="response_too_large")
                record.refused(error)
                response = error_response(error, record.request_id)
                reply = request.reply(response.status, response.headers, response.body)
            record.status, record.sent_bytes = response.status, len(response.body)
            return reply
        except UnsupportedEvent as error:
            record.failed(error)
            raise
        finally:
            self._log.write(record)

    def _request(self, event: object, context: Any, record: RequestRecord) -> Request:
        request = self._translate(_parsed(event), context)
        record.source = request.source
        remaining_ms = context.get_remaining_time_in_millis()
        request.scope["state"] = request_state(self._state, remaining_ms=remaining_ms, margin_ms=self._margin_ms)
        request.scope[RECORD] = record
        return request

    async def _respond(self, request: Request, record: RequestRecord) -> Response:
        collector = Collector()
        try:
            collector.request = request.body()
            await self._app(request.scope, collector.receive, collector.send)
            if not collector.complete.is_set():
                raise IncompleteResponse
        except InvalidRequest as error:
            record.refused(error)
            return error_response(error, record.request_id)
        except UnsupportedEvent:
            raise
        except Exception as error:
            record.failed(error)
        if not collector.complete.is_set():
            return error_response(ServerFault("The server failed to answer; its log says why."), record.request_id)
        has_body = request.scope["method"] != "HEAD" and collector.status not in (204, 304)
        body = bytes(collector.body) if has_body else b""
        return Response(status=collector.status, headers=collector.headers, body=body)


def _parsed(event: object) -> Event:
    return parse_event(event) if isinstance(event, bytes) else as_event(event)
