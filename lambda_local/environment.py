"""One execution environment: a runtime process, its Runtime API, and one invocation at a time, or a few.

Init has its own time limit. Where the runtime is too slow, dies or reports an error, it is started again inside the
first invoke, on the invoke's time. A time-out kills the process, whatever else it was answering; the next invocation
starts another.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from lambda_local.function import Function
from lambda_local.invocation import Failed, Invocation
from lambda_local.process import RuntimeProcess
from lambda_local.report import Report, end_line, start_line
from lambda_local.runtime_api import TRUNCATED, RuntimeApi, Session

RESTORE_LIMIT = 10.0
TIMED_OUT = "Sandbox.Timedout"
# Seconds. The connections of a process that dies close a little before its exit can be seen.
DYING = 1.0


class Environment:
    """Runs invocations of `function`: no more at the same time than it takes."""

    def __init__(self, function: Function, log: Callable[[str], None]) -> None:
        self._function = function
        self._log = log
        self._api = RuntimeApi()
        self._process: RuntimeProcess | None = None
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Serve the Runtime API. The process starts with the first invocation."""
        await self._api.start()

    async def close(self) -> None:
        """Kill the process and stop serving."""
        await self.kill()
        await self._api.close()

    async def kill(self) -> None:
        """Kill the runtime's process, if there is one."""
        if self._process is not None:
            await self._process.kill()

    async def run(self, invocation: Invocation) -> Report:
        """Bring one invocation to its end, whatever happens. Returns what it cost."""
        async with self._starting:
            init_duration = None if self._live() else await self._init()
        self._log(start_line(invocation.request_id))
        began = time.monotonic()
        failure = await self._invoke(invocation, deadline=began + self._function.timeout)
        report = Report(
            request_id=invocation.request_id,
            duration=(time.monotonic() - began) * 1000,
            memory_size=self._function.memory_mb,
            init_duration=init_duration,
            max_memory_used=None if self._process is None else self._process.peak_memory(),
            status=_status(failure),
            error_type=None if failure is None else failure.error_type,
        )
        self._log(end_line(invocation.request_id))
        self._log(str(report))
        return report

    def _live(self) -> RuntimeProcess | None:
        return self._process if self._process is not None and self._process.alive else None

    async def _init(self) -> float:
        """The Init phase, in milliseconds. Where it failed there is no live process afterwards."""
        began = time.monotonic()
        started = await self._start_runtime(self._function.init_limit)
        duration = (time.monotonic() - began) * 1000
        if isinstance(started, Failed):
            report = f"INIT_REPORT Init Duration: {duration:.2f} ms\tPhase: init\tStatus: {_status(started)}"
            self._log(f"{report}\tError Type: {started.error_type}")
        return duration

    async def _invoke(self, invocation: Invocation, deadline: float) -> Failed | None:
        """From START to END. Returns what went wrong, or None."""
        async with self._starting:
            process = self._live() or await self._start_runtime(deadline - time.monotonic())
        failure = process if isinstance(process, Failed) else await self._work(process, invocation, deadline)
        if failure is not None:
            message = failure.message or failure.error_type
            if failure.error_type == TIMED_OUT:
                message = f"Task timed out after {self._function.timeout:.2f} seconds"
            self._log(f"{datetime.now(tz=UTC):%Y-%m-%dT%H:%M:%S.%fZ} {invocation.request_id} {message}")
            invocation.end(failure)
        return failure

    async def _work(self, process: RuntimeProcess, invocation: Invocation, deadline: float) -> Failed | None:
        """A live runtime and an event: until it asks for the next one, dies, or its time is up."""
        session = self._api.session
        deadline_ms = int((time.time() + deadline - time.monotonic()) * 1000)
        session.give(
            invocation,
            {
                "content-type": "application/json",
                "lambda-runtime-aws-request-id": invocation.request_id,
                "lambda-runtime-deadline-ms": str(deadline_ms),
                "lambda-runtime-invoked-function-arn": self._function.arn,
                "lambda-runtime-trace-id": invocation.trace_id,
            },
        )
        # The answer may be whole before the runtime is free: both are waited for, as both are billed.
        for wait in (invocation.answered.wait, session.polling.wait):
            happened = await first_of(deadline - time.monotonic(), done=wait(), exited=process.wait())
            if happened != "done":
                return await _stopped(process, happened)
        session.open.pop(invocation.request_id, None)
        if not isinstance(invocation.outcome, Failed):
            return None
        left = min(DYING, deadline - time.monotonic())
        if invocation.outcome.error_type == TRUNCATED and await first_of(left, exited=process.wait()):
            return await _stopped(process, "exited")
        return invocation.outcome

    async def _start_runtime(self, limit: float) -> RuntimeProcess | Failed:
        """A new process that has asked for its first event, or why there is none. `limit` in seconds."""
        await self.kill()
        session = await self._api.new_session()
        try:
            process = await RuntimeProcess.start(self._function.command, self._function.variables(self._api.address))
        except OSError as error:
            return Failed(error_type="Runtime.InvalidEntrypoint", message=str(error))
        self._process = process
        failure = None
        if self._function.snapstart:
            failure = await _until(process, session, limit, session.restoring.wait())
            limit = min(limit, RESTORE_LIMIT)
        return failure or await _until(process, session, limit, session.polling.wait()) or process


async def _until(
    process: RuntimeProcess, session: Session, limit: float, ready: Coroutine[Any, Any, Any]
) -> Failed | None:
    happened = await first_of(limit, ready=ready, failed=session.failed.wait(), exited=process.wait())
    if happened == "ready":
        return None
    if happened == "failed":
        await process.kill()
        return session.failure
    return await _stopped(process, happened)


async def _stopped(process: RuntimeProcess, happened: str | None) -> Failed:
    """The process has exited, or is to be killed because its time is up (None)."""
    if happened is None:
        await process.kill()
        return Failed(error_type=TIMED_OUT)
    return Failed(error_type="Runtime.ExitError", message=f"Error: Runtime exited with {await process.wait()}")


def _status(failure: Failed | None) -> str:
    if failure is None:
        return "success"
    return "timeout" if failure.error_type == TIMED_OUT else "error"


async def first_of(seconds: float, **waits: Coroutine[Any, Any, Any]) -> str | None:
    """The name of the wait that ends first (the earlier named of two), or None after `seconds`."""
    tasks = {name: asyncio.create_task(wait) for name, wait in waits.items()}
    try:
        await asyncio.wait(tasks.values(), timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
        return next((name for name, task in tasks.items() if task.done()), None)
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
