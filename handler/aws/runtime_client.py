"""The Lambda Runtime API, one method for each of its verbs.

    next ─► respond_streaming ─► write… ─► end | fail      (the answer leaves as it is made)
         └► error                                          (nothing was sent yet)
    init_error · restore_next · restore_error              (before the first next)

Source: AWS, "Lambda runtime API" and "Building a custom runtime".
"""

import asyncio
import base64
from collections.abc import Callable
from contextlib import suppress

from handler.aws.connection import Answer, Connection
from handler.aws.failures import Fault, startup_fault_of
from handler.frozen import dataclass

RUNTIME = "/2018-06-01/runtime"
ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
ERROR_BODY = "Lambda-Runtime-Function-Error-Body"
STREAM_CONTENT_TYPE = "application/vnd.awslambda.http-integration-response"
ERROR_CONTENT_TYPE = "application/vnd.aws.lambda.error+json"
# After error trailers the connection is closed anyway: how long the acknowledgement is waited for, in seconds.
TRAILER_GRACE = 0.5


class RuntimeApiError(Exception):
    """The Runtime API answered what the protocol does not foresee: the process cannot go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One answer of `next`. `deadline_ms` is epoch time; `attempt_id` is echoed, where Lambda sends one."""

    request_id: str
    event: bytes
    deadline_ms: int
    function_arn: str = ""
    trace_id: str | None = None
    attempt_id: str | None = None


class RuntimeClient:
    """A client over one kept-alive connection: one invocation at a time. `runtime_api` is `host:port`."""

    def __init__(self, runtime_api: str) -> None:
        self._connection = Connection(runtime_api)

    async def next(self) -> Invocation:
        """Waits, without a limit, for the next invocation."""
        answer = await self._get("/invocation/next")
        headers = answer.headers
        try:
            return Invocation(
                request_id=headers["lambda-runtime-aws-request-id"],
                event=answer.body,
                deadline_ms=int(headers["lambda-runtime-deadline-ms"]),
                function_arn=headers.get("lambda-runtime-invoked-function-arn", ""),
                trace_id=headers.get("lambda-runtime-trace-id"),
                attempt_id=headers.get("lambda-runtime-invocation-id"),
            )
        except (KeyError, ValueError) as error:
            raise RuntimeApiError(f"an invocation without a valid {error} header") from error

    async def respond_streaming(self, invocation: Invocation, on_gone: Callable[[], None]) -> "ResponseStream":
        """Opens the answer to an invocation: head now, body as it comes; `on_gone` is called if its reader leaves."""
        headers = [
            ("Lambda-Runtime-Function-Response-Mode", "streaming"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Type", STREAM_CONTENT_TYPE),
            ("Trailer", ERROR_TYPE),
            ("Trailer", ERROR_BODY),
            *_attempt(invocation).items(),
        ]
        await self._connection.start("POST", f"{RUNTIME}/invocation/{invocation.request_id}/response", headers)
        return ResponseStream(self._connection, on_gone)

    async def error(self, invocation: Invocation, fault: Fault) -> None:
        """The invocation failed before its first byte."""
        await self._post(f"/invocation/{invocation.request_id}/error", fault, _attempt(invocation))

    async def init_error(self, fault: Fault) -> None:
        await self._post("/init/error", fault)

    async def restore_next(self) -> None:
        """Returns in the restored process: what comes after it runs once for each copy of the snapshot."""
        await self._get("/restore/next")

    async def restore_error(self, fault: Fault) -> None:
        await self._post("/restore/error", fault)

    async def close(self) -> None:
        await self._connection.wait_closed()

    async def _get(self, path: str) -> Answer:
        fresh = not self._connection.is_open
        try:
            answer = await self._connection.request("GET", RUNTIME + path, {})
        except OSError:
            # An idle connection may have died while the process was frozen: that is no news of the Runtime API.
            if fresh:
                raise
            answer = await self._connection.request("GET", RUNTIME + path, {})
        if answer.status != 200:
            raise RuntimeApiError(f"GET {path} was answered {answer.status}, not 200")
        return answer

    async def _post(self, path: str, fault: Fault, headers: dict[str, str] | None = None) -> None:
        framing = {"Content-Type": ERROR_CONTENT_TYPE, ERROR_TYPE: _header(fault.type), **(headers or {})}
        answer = await self._connection.request("POST", RUNTIME + path, framing, fault.to_json())
        if not 200 <= answer.status < 300:
            raise RuntimeApiError(f"POST {path} was answered {answer.status}, not 202")


class ResponseStream:
    """A streamed answer under way. A reader that leaves is noticed at once, also between two writes."""

    def __init__(self, connection: Connection, on_gone: Callable[[], None]) -> None:
        self._connection = connection
        self._on_gone = on_gone
        self._ended = False
        self._answer = asyncio.create_task(connection.answer())
        self._answer.add_done_callback(self._on_answer)

    async def write(self, data: bytes) -> None:
        """One chunk, handed to the kernel before this returns. Raises OSError where the reader has gone."""
        if data:
            await self._connection.write(data)

    async def end(self) -> int:
        """The last chunk; returns the acknowledgement's status (202), or raises OSError where none comes."""
        self._ended = True
        await self._connection.end()
        return (await self._answer).status

    async def fail(self, fault: Fault) -> None:
        """The error trailers in place of a regular end, then the connection is closed, as the protocol asks."""
        self._ended = True
        body = base64.b64encode(fault.to_json()).decode()
        with suppress(OSError, TimeoutError):
            await self._connection.end([(ERROR_TYPE, _header(fault.type)), (ERROR_BODY, body)])
            await asyncio.wait_for(self._answer, TRAILER_GRACE)
        await self.abandon()

    async def abandon(self) -> None:
        """Closes without a word: the reader has gone."""
        self._answer.cancel()
        await self._connection.wait_closed()

    def _on_answer(self, task: asyncio.Task[Answer]) -> None:
        # The exception is looked at here, so that an answer nobody waits for is not reported as lost.
        hung_up = task.cancelled() or task.exception() is not None
        if hung_up or not self._ended:
            self._on_gone()


def _attempt(invocation: Invocation) -> dict[str, str]:
    return {"Lambda-Runtime-Invocation-Id": invocation.attempt_id} if invocation.attempt_id else {}


def _header(error_type: str) -> str:
    return error_type.encode("ascii", "replace").decode()


def report_init_error(runtime_api: str, error: Exception) -> None:
    """Tells Lambda why this process cannot start. For a caller outside any event loop, who then exits with 1."""
    asyncio.run(_report_init_error(runtime_api, error))


async def _report_init_error(runtime_api: str, error: Exception) -> None:
    client = RuntimeClient(runtime_api)
    with suppress(OSError, RuntimeApiError):
        await client.init_error(startup_fault_of(error))
    await client.close()
