"""Around every request, as plain ASGI (Starlette's BaseHTTPMiddleware would get between a stream and its client).

Observed       request id, openai-processing-ms, the cost, one log line; no body in answer to HEAD
FaultBarrier   a fault of ours becomes a 500 that tells nothing, or a 503 for want of memory, and a log line
Cors           Starlette's, with refusals in the API's error shape
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handler.api.error_responses import error_response, told
from handler.api.paths import known_method, known_path
from handler.bill import decimal
from handler.errors import InvalidRequest
from handler.record import RequestLog, RequestRecord
from handler.scope import RECORD
from handler.trace_id import w3c_trace_id, xray_trace_id

COST = "x-cost-usd"
EXPOSED_HEADERS = (
    "x-request-id",
    "openai-processing-ms",
    "x-should-retry",
    "retry-after",
    "x-dropped-fields",
    COST,
    *(f"x-ratelimit-{fact}-{kind}" for kind in ("requests", "tokens") for fact in ("limit", "remaining", "reset")),
)


class Observed:
    """Names and times each request: fills in its RequestRecord, and where no server brings one, keeps and writes it."""

    def __init__(self, app: ASGIApp, log: RequestLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given: RequestRecord | None = scope.get(RECORD)
        record = given or self._log.begin()
        record.method, record.path = known_method(scope["method"]), known_path(scope["path"])
        asked = Headers(scope=scope)
        # Lambda's own word comes first: the header is the caller's.
        record.trace_id = (
            record.trace_id or w3c_trace_id(asked.get("traceparent")) or xray_trace_id(asked.get("x-amzn-trace-id"))
        )

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                _name(record, MutableHeaders(scope=message))
            elif record.method == "HEAD" and message["type"] == "http.response.body":
                # Not every server strips it: Lambda would send it on.
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._app({**scope, RECORD: record}, receive, send_named)
        except OSError:  # `send` raised it, since ASGI 2.4: the client has gone
            record.disconnected = True
            raise
        except Exception as error:
            record.failed(error)
            raise
        finally:
            if given is None:
                self._log.write(record)


def _name(record: RequestRecord, headers: MutableHeaders) -> None:
    headers["x-request-id"] = record.request_id
    headers["openai-processing-ms"] = str(record.elapsed_ms())
    # An answer is for whoever asked: neither a browser nor a CDN keeps it, or takes it for something else than it says.
    headers["x-content-type-options"] = "nosniff"
    headers.setdefault("cache-control", "no-store")
    # A stream tells it in its usage: at its beginning it has cost next to nothing.
    is_stream = headers.get("content-type", "").startswith("text/event-stream")
    if not is_stream and (cost := record.told_cost()) is not None:
        headers[COST] = decimal(cost)


class FaultBarrier:
    """Answers 500, or 503, to whatever was not raised on purpose. After the first byte, the exception goes on to the
    server, which cuts the connection: the client must not take a half for a whole."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except ClientDisconnect:  # left before its request was read: there is nobody to answer
            RequestRecord.of(scope).disconnected = True
        except Exception as error:
            if scope["type"] != "http" or started:
                raise
            RequestRecord.of(scope).failed(error)
            await error_response(told(error))(scope, receive, send)


class Cors(CORSMiddleware):
    """Starlette's CORS, with the API's error shape."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        kept = {key: value for key, value in response.headers.items() if not key.startswith("content-")}
        return error_response(InvalidRequest("The server's settings allow no such cross-origin request."), kept)
