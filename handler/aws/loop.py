"""The Runtime API loop: start the application once, then invocation after invocation until told to stop.

On Lambda Managed Instances several invocations run at once in one process: as many `next` loops, one application,
one model. Everywhere else it is one loop.
"""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import nullcontext, suppress

from handler.aws.asgi import ASGIApp, State
from handler.aws.failures import startup_fault_of
from handler.aws.invocation import InvocationRunner, trace
from handler.aws.lifespan import Lifespan
from handler.aws.runtime_client import Invocation, RuntimeApiError, RuntimeClient
from handler.aws.snapstart import INIT_TYPE, RestoreHook, await_restore
from handler.record import RequestLog

# Lambda kills two seconds after SIGTERM: answers under way get half of that, in seconds.
STOP_GRACE = 1.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve_streaming(
    app: ASGIApp,
    *,
    runtime_api: str,
    init_type: str | None = None,
    max_concurrency: int = 1,
    deadline_margin_ms: int = 1500,
    on_restore: Sequence[RestoreHook] = (),
    log: RequestLog | None = None,
) -> None:
    """Serves `app` until SIGTERM or SIGINT, then returns.

    `runtime_api` is `host:port`; `init_type` is AWS_LAMBDA_INITIALIZATION_TYPE; `max_concurrency` is
    AWS_LAMBDA_MAX_CONCURRENCY. Each request's `scope["state"]` is a copy of the lifespan's, with `deadline`: the
    `time.monotonic()` seconds at which its answer has to end. Each invocation is a line of `log`.

    Raises SystemExit(1) where the application cannot start (Lambda has been told), RuntimeApiError or OSError where
    the Runtime API cannot be talked to.
    """
    stop = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    lifespan = Lifespan(app)
    state = await _initialise(lifespan, runtime_api, init_type, on_restore)
    runner = InvocationRunner(app, state=state, margin_ms=deadline_margin_ms, log=log)
    workers = [
        asyncio.create_task(_work(runner, RuntimeClient(runtime_api), stop, alone=max_concurrency == 1))
        for _ in range(max_concurrency)
    ]
    try:
        await _until_stopped(workers, stop)
    finally:
        await lifespan.shutdown()
        for number in STOP_SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)


async def _initialise(
    lifespan: Lifespan, runtime_api: str, init_type: str | None, on_restore: Sequence[RestoreHook]
) -> State:
    client = RuntimeClient(runtime_api)
    try:
        try:
            state = await lifespan.startup()
        except Exception as error:
            with suppress(OSError, RuntimeApiError):
                await client.init_error(startup_fault_of(error))
            raise SystemExit(1) from error
        if init_type == INIT_TYPE:
            await await_restore(client, on_restore)
        return state
    finally:
        await client.close()


async def _work(runner: InvocationRunner, client: RuntimeClient, stop: asyncio.Event, *, alone: bool) -> None:
    """One `next` loop. The trace variable is the process's: it tells the truth for one invocation at a time only."""
    try:
        while invocation := await _next(client, stop):
            with trace(invocation.trace_id) if alone else nullcontext():
                await runner.run(client, invocation)
    finally:
        await client.close()


async def _next(client: RuntimeClient, stop: asyncio.Event) -> Invocation | None:
    """The next invocation, or None once there is to be none."""
    polling = asyncio.create_task(client.next())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({polling, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return polling.result() if polling.done() else None
    finally:
        for task in (polling, stopping):
            task.cancel()


async def _until_stopped(workers: Sequence[asyncio.Task[None]], stop: asyncio.Event) -> None:
    """Ends with the first worker's failure, or after `stop`, when answers under way have had their grace."""
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({*workers, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            await asyncio.wait(workers, timeout=STOP_GRACE)
    finally:
        for task in (*workers, stopping):
            task.cancel()
        results = await asyncio.gather(*workers, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
