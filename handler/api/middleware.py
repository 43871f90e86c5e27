"""Around every request, as plain ASGI (Starlette's BaseHTTPMiddleware would get between a stream and its client).

Observed       request id, openai-processing-ms, one log line; no body in answer to HEAD
FaultBarrier   a fault of ours becomes a 500 that tells nothing, and a log line that tells where
Cors           Starlette's, with refusals in the API's error shape
"""

import logging
import traceback
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handler.api.error_responses import error_response, internal_fault
from handler.api.record import SCOPE_KEY, RequestRecord
from handler.errors import InvalidRequest

LOGGER = logging.getLogger("handler.api")

MAX_PATH_LOGGED = 200  # characters
EXPOSED_HEADERS = ("x-request-id", "openai-processing-ms", "x-should-retry", "retry-after", "x-dropped-fields")


class Observed:
    """Names, times and logs each request. Puts its RequestRecord into the scope."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"][:MAX_PATH_LOGGED]
        record = RequestRecord(request_id=f"req_{uuid.uuid4().hex}", method=scope["method"], path=path)

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = record.request_id
                headers["openai-processing-ms"] = str(record.elapsed_ms())
            elif record.method == "HEAD" and message["type"] == "http.response.body":
                # Not every server strips it: Lambda would send it on.
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._app({**scope, SCOPE_KEY: record}, receive, send_named)
        finally:
            record.write()


class FaultBarrier:
    """Answers 500 to whatever was not raised on purpose. After the first byte, the exception goes on to the server,
    which cuts the connection: the client must not take a half for a whole."""

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
            log_fault(error, RequestRecord.of(scope))
            await error_response(internal_fault())(scope, receive, send)


class Cors(CORSMiddleware):
    """Starlette's CORS, with the API's error shape."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        kept = {key: value for key, value in response.headers.items() if not key.startswith("content-")}
        return error_response(InvalidRequest("The server's settings allow no such cross-origin request."), kept)


def log_fault(error: BaseException, record: RequestRecord) -> None:
    """Logs where a fault of ours arose: the types and the frames, but no message and no locals, which may quote a
    prompt."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    LOGGER.error("%s %s at %s", record.request_id, type(error).__qualname__, where)
