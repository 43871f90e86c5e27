"""The Runtime API (2018-06-01), as one execution environment's runtime sees it.

    GET  /runtime/invocation/next               long poll for an event
    POST /runtime/invocation/{id}/response      buffered, or streamed with a prelude and error trailers
    POST /runtime/invocation/{id}/error         the handler failed
    POST /runtime/init/error                    initialisation failed
    GET  /runtime/restore/next                  SnapStart: asked once after init, answered at once
    POST /runtime/restore/error                 SnapStart: what must be renewed after a restore failed

Not emulated: the 2 MB/s cap above 6 MB of a streamed answer, its 200 MB limit, extensions, telemetry.
"""

import asyncio
import base64
import binascii
import json

import h11

from lambda_local.http1 import BodyTooLargeError, HttpConnection, HttpServer, text_headers
from lambda_local.invocation import ClientLeftError, Ended, Failed, Invocation
from lambda_local.prelude import Prelude, PreludeError, PreludeParser
from lambda_local.response import read_response

PREFIX = "/2018-06-01/runtime/"
HTTP_INTEGRATION = "application/vnd.awslambda.http-integration-response"
PAYLOAD_LIMIT = 6 * 1024 * 1024
ERROR_TYPE = "lambda-runtime-function-error-type"
ERROR_BODY = "lambda-runtime-function-error-body"
TRUNCATED = "Runtime.TruncatedResponse"
INVALID = "Runtime.InvalidResponse"


class Session:
    """What is known of one runtime process, from its start to its end."""

    def __init__(self) -> None:
        self.polling = asyncio.Event()
        self.restoring = asyncio.Event()
        self.failed = asyncio.Event()
        self.failure: Failed | None = None
        self.open: dict[str, tuple[Invocation, dict[str, str]]] = {}
        self._offers: asyncio.Queue[Invocation] = asyncio.Queue()
        self._pollers = 0

    def give(self, invocation: Invocation, headers: dict[str, str]) -> None:
        """Hand an invocation to whichever `next` waits; `headers` go with it."""
        self.open[invocation.request_id] = (invocation, headers)
        self._offers.put_nowait(invocation)

    def fail(self, failure: Failed) -> None:
        """The runtime reported that it could not initialise or be restored."""
        self.failure = failure
        self.failed.set()

    async def poll(self) -> Invocation:
        """Wait for an invocation, on behalf of one `next`."""
        self._pollers += 1
        self.polling.set()
        try:
            return await self._offers.get()
        finally:
            self._pollers -= 1
            if not self._pollers:
                self.polling.clear()


class RuntimeApi:
    """Serves one runtime process at a time; `session` is the present one's."""

    def __init__(self) -> None:
        self.session = Session()
        self.address = ""
        self._server = HttpServer(self._respond)

    async def start(self) -> None:
        """Listen on a free port; `address` becomes what AWS_LAMBDA_RUNTIME_API has to be."""
        self.address = f"127.0.0.1:{await self._server.start()}"

    async def new_session(self) -> Session:
        """Forget the process that was: its connections are dropped."""
        await self._server.drop_connections()
        self.session = Session()
        return self.session

    async def close(self) -> None:
        """Stop listening."""
        await self._server.close()

    async def _respond(self, connection: HttpConnection, request: h11.Request) -> None:
        path = request.target.decode("ascii").removeprefix(PREFIX)
        match (request.method, path.split("/")):
            case (b"GET", ["invocation", "next"]):
                await self._next(connection)
            case (b"POST", ["invocation", request_id, "response"]) if request_id in self.session.open:
                await self._response(connection, request, self.session.open[request_id][0])
            case (b"POST", ["invocation", request_id, "error"]) if request_id in self.session.open:
                self.session.open[request_id][0].end(await _failure(connection, request))
                await _accepted(connection)
            case (b"POST", ["invocation", _, "response" | "error"]):
                await connection.body(PAYLOAD_LIMIT)
                await _refused(connection, 400, "InvalidRequestID", "Invalid request ID")
            case (b"POST", ["init" | "restore", "error"]):
                self.session.fail(await _failure(connection, request))
                await _accepted(connection)
            case (b"GET", ["restore", "next"]):
                await connection.body(0)
                self.session.restoring.set()
                await connection.respond(200, {})
            case _:
                await connection.body(PAYLOAD_LIMIT)
                await _refused(connection, 404, "NotFound", "There is no such path in the Runtime API")

    async def _next(self, connection: HttpConnection) -> None:
        await connection.body(0)
        session = self.session
        poll = asyncio.create_task(session.poll())
        gone = asyncio.create_task(connection.gone())
        try:
            await asyncio.wait({poll, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not poll.done():
                poll.cancel()
            await asyncio.gather(gone, poll, return_exceptions=True)
        if not poll.cancelled():
            invocation = poll.result()
            await connection.respond(200, session.open[invocation.request_id][1], invocation.event)

    async def _response(self, connection: HttpConnection, request: h11.Request, invocation: Invocation) -> None:
        headers = dict(text_headers(request.headers))
        if headers.get("lambda-runtime-function-response-mode", "").lower() != "streaming":
            await self._buffered(connection, invocation)
            return
        try:
            await self._streamed(connection, invocation, headers.get("content-type", "application/octet-stream"))
        except ClientLeftError:
            invocation.end(Ended())
            return  # The answer to the POST never comes and its connection closes: the runtime's next write fails.
        except PreludeError as error:
            invocation.end(Failed(error_type=INVALID, message=str(error)))
            return
        except (h11.RemoteProtocolError, ConnectionError):
            invocation.end(Failed(error_type=TRUNCATED, message="the runtime broke the response off"))
            raise
        await _accepted(connection)

    async def _streamed(self, connection: HttpConnection, invocation: Invocation, content_type: str) -> None:
        parser = PreludeParser()
        if content_type != HTTP_INTEGRATION:
            parser.prelude = Prelude(headers={"content-type": content_type})
        announced = False
        while True:
            event = await connection.event()
            match event:
                case h11.Data(data=data):
                    body = parser.decode(bytes(data))
                    if parser.prelude is not None and not announced:
                        announced = True
                        await invocation.write(parser.prelude)
                    if body:
                        await invocation.write(body)
                case h11.EndOfMessage(headers=trailers):
                    failure = _failure_from_trailers(dict(text_headers(list(trailers))))
                    if failure is None:
                        prelude = parser.flush()
                        if not announced:
                            await invocation.write(prelude)
                    invocation.end(failure or Ended())
                    return
                case _:
                    raise h11.RemoteProtocolError("the response ended before its last chunk")

    async def _buffered(self, connection: HttpConnection, invocation: Invocation) -> None:
        try:
            prelude, body = read_response(await connection.body(PAYLOAD_LIMIT))
            await invocation.write(prelude)
            if body:
                await invocation.write(body)
            invocation.end(Ended())
        except BodyTooLargeError:
            message = f"Response payload size exceeded maximum allowed payload size ({PAYLOAD_LIMIT} bytes)."
            invocation.end(Failed(error_type="Function.ResponseSizeTooLarge", message=message))
            await _refused(connection, 413, "RequestEntityTooLarge", message)
            return
        except PreludeError as error:
            invocation.end(Failed(error_type=INVALID, message=str(error)))
        except ClientLeftError:
            invocation.end(Ended())
        await _accepted(connection)


async def _accepted(connection: HttpConnection) -> None:
    await connection.respond(202, {"content-type": "application/json"}, b'{"status":"OK"}\n')


async def _refused(connection: HttpConnection, status: int, error_type: str, message: str) -> None:
    body = json.dumps({"errorMessage": message, "errorType": error_type}).encode()
    await connection.respond(status, {"content-type": "application/json"}, body)


async def _failure(connection: HttpConnection, request: h11.Request) -> Failed:
    headers = dict(text_headers(request.headers))
    return _describe(headers.get(ERROR_TYPE), await connection.body(PAYLOAD_LIMIT))


def _failure_from_trailers(trailers: dict[str, str]) -> Failed | None:
    if ERROR_TYPE not in trailers:
        return None
    try:
        body = base64.b64decode(trailers.get(ERROR_BODY, ""), validate=True)
    except binascii.Error:
        body = b""
    return _describe(trailers[ERROR_TYPE], body)


def _describe(error_type: str | None, body: bytes) -> Failed:
    try:
        fields = json.loads(body)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        fields = {}
    return Failed(
        error_type=error_type or str(fields.get("errorType", "Runtime.UnknownReason")),
        message=str(fields.get("errorMessage", "")),
    )
