"""A Function URL with its function, as one object to enter: what `python -m lambda_local` runs and tests import.

    async with FunctionUrl(Function(command=[sys.executable, "-m", "handler"], timeout=30)) as url:
        ...  # POST to f"{url.base_url}/v1/chat/completions"

AWS starts another execution environment for a request that finds all of them busy. Here there are at most
`concurrency`, started as they are needed, warm ones first, each with as many invocations at the same time as the
function takes (one, but on Managed Instances); a request that finds no place waits up to `queue_seconds` and is
then answered 429, which is what a function that has reached its reserved concurrency answers at once.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from lambda_local.cors import Cors
from lambda_local.environment import Environment
from lambda_local.event import Stamp
from lambda_local.front import AuthType, Front
from lambda_local.function import Function
from lambda_local.http1 import HOST, HttpServer
from lambda_local.invocation import Failed, Invocation, Throttled
from lambda_local.report import Report
from lambda_local.sigv4 import Credentials


def print_line(line: str) -> None:
    """Where Lambda's log lines go: standard output, at once."""
    print(line, flush=True)


class FunctionUrl:
    """An HTTP endpoint on 127.0.0.1 in front of a function. `reports` lists the finished invocations."""

    def __init__(
        self,
        function: Function,
        *,
        port: int = 0,
        auth: AuthType = "NONE",
        credentials: Sequence[Credentials] = (),
        cors: Cors | None = None,
        concurrency: int = 1,
        queue_seconds: float | None = None,
        log: Callable[[str], None] = print_line,
    ) -> None:
        self.reports: list[Report] = []
        self.base_url = ""
        self._function = function
        self._port = port
        self._queue_seconds = function.timeout if queue_seconds is None else queue_seconds
        self._environments = [Environment(function, log) for _ in range(concurrency)]
        self._idle: asyncio.LifoQueue[Environment] = asyncio.LifoQueue()
        self._running: set[asyncio.Task[None]] = set()
        front = Front(dispatch=self._dispatch, region=function.region, auth=auth, credentials=credentials, cors=cors)
        self._server = HttpServer(front.respond)

    async def __aenter__(self) -> Self:
        """Listen. Raises OSError where the port is taken."""
        self.base_url = f"http://{HOST}:{await self._server.start(self._port)}"
        for environment in self._environments:
            await environment.start()
            for _ in range(self._function.at_once):
                self._idle.put_nowait(environment)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut every client off, kill every runtime."""
        await self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for environment in self._environments:
            await environment.close()

    async def kill_runtime(self) -> None:
        """Kill every runtime process, as a crash would. The next request starts a new one."""
        for environment in self._environments:
            await environment.kill()

    async def settled(self) -> None:
        """Until no invocation is running: after a client left, its function may still be."""
        await asyncio.gather(*self._running)

    def _dispatch(self, stamp: Stamp, event: bytes) -> Invocation:
        trace_id = f"Root={stamp.trace_root};Parent={secrets.token_hex(8)};Sampled=0"
        invocation = Invocation(stamp.request_id, event, trace_id=trace_id, on_leave=self._function.on_leave)
        task = asyncio.create_task(self._run(invocation))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return invocation

    async def _run(self, invocation: Invocation) -> None:
        try:
            async with asyncio.timeout(self._queue_seconds):
                environment = await self._idle.get()
        except TimeoutError:
            invocation.end(Throttled())
            return
        try:
            if not invocation.client_left:
                self.reports.append(await environment.run(invocation))
        finally:
            # Only where the emulator itself fails: an invocation that has ended keeps its first outcome.
            invocation.end(Failed(error_type="Sandbox.Failure"))
            self._idle.put_nowait(environment)
