"""awslambdaric, AWS's Runtime Interface Client, as the host of the buffered mode.

It looks its handler up by name and never returns. So the composed handler is published under a module name of its
own when serving begins, and its wait for the next invocation is moved to a thread, so that SIGTERM can end it.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from queue import SimpleQueue
from threading import Thread
from types import FrameType, ModuleType
from typing import Any

from handler.aws.asgi import ASGIApp
from handler.aws.buffered import BufferedHandler
from handler.aws.lifespan import Lifespan
from handler.aws.runtime_client import report_init_error
from handler.aws.snapstart import RestoreHook
from handler.record import LOGGER, RequestLog

MODULE = "handler_published_to_awslambdaric"
FUNCTION = "handle"


def serve_buffered(
    app: ASGIApp,
    *,
    runtime_api: str,
    deadline_margin_ms: int = 1500,
    on_restore: Sequence[RestoreHook] = (),
    log: RequestLog | None = None,
) -> None:
    """Serves `app` until SIGTERM, in the main thread, with an event loop of its own.

    awslambdaric's native part finds the Runtime API by AWS_LAMBDA_RUNTIME_API, which must name `runtime_api`.
    Raises SystemExit: 0 after SIGTERM, 1 where the application cannot start (Lambda has been told).
    """
    with asyncio.Runner() as runner:
        lifespan = Lifespan(app)
        try:
            handle = runner.run(_start(app, lifespan, deadline_margin_ms, log))
        except Exception as error:
            report_init_error(runtime_api, error)
            raise SystemExit(1) from error
        try:
            _run(lambda event, context: runner.run(handle(event, context)), runtime_api, on_restore)
        finally:
            runner.run(lifespan.shutdown())


async def _start(app: ASGIApp, lifespan: Lifespan, margin_ms: int, log: RequestLog | None) -> BufferedHandler:
    return BufferedHandler(app, state=await lifespan.startup(), margin_ms=margin_ms, log=log)


def _run(handle: Any, runtime_api: str, on_restore: Sequence[RestoreHook]) -> None:
    from awslambdaric import bootstrap
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

    snapshot_restore: Any = import_module("snapshot_restore_py")  # awslambdaric's registry of hooks; it has no types
    for hook in on_restore:
        snapshot_restore.register_after_restore(hook)
    module = ModuleType(MODULE)
    setattr(module, FUNCTION, handle)
    sys.modules[MODULE] = module
    _log_requests_as_they_are()
    client = StoppableClient(LambdaRuntimeClient(runtime_api))
    signal.signal(signal.SIGTERM, client.stop)
    bootstrap.run(f"{MODULE}.{FUNCTION}", client)


def _log_requests_as_they_are() -> None:
    """awslambdaric logs in the function's log format, which would wrap our lines of JSON: they keep the handlers that
    there are, and everything else leaves those to it."""
    root = logging.getLogger()
    LOGGER.handlers = list(root.handlers)
    LOGGER.propagate = False
    root.handlers.clear()


class StoppableClient:
    """awslambdaric's client, but SIGTERM ends its wait at once, and an invocation under way after it is answered."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._waiting = False
        self._stopping = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        """A signal handler. Raises SystemExit(0) in the main thread if that is only waiting."""
        self._stopping = True
        if self._waiting:
            raise SystemExit(0)

    def wait_next_invocation(self) -> Any:
        """The next invocation; a failed wait raises what the thread raised."""
        results: SimpleQueue[tuple[Any, Exception | None]] = SimpleQueue()

        def poll() -> None:
            try:
                results.put((self._client.wait_next_invocation(), None))
            except Exception as error:
                results.put((None, error))

        self._waiting = True
        try:
            if self._stopping:
                raise SystemExit(0)
            # A daemon, since nothing can wake it: the native call has no time limit.
            Thread(target=poll, name="runtime-api-next", daemon=True).start()
            invocation, error = results.get()
        finally:
            self._waiting = False
        if error is not None:
            raise error
        return invocation
