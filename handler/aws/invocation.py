"""One streamed invocation, from its event to the last byte of its answer.

Whatever happens in it, the next one can follow.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from handler.aws.asgi import ASGIApp, State
from handler.aws.context import TRACE_VARIABLE, LambdaContext, request_state
from handler.aws.events import Request, Translator, UnsupportedEvent, parse_event
from handler.aws.exchange import Exchange, Phase, ReaderGone
from handler.aws.failures import Fault, IncompleteResponse, error_response, fault_of
from handler.aws.runtime_client import Invocation, RuntimeApiError, RuntimeClient
from handler.errors import InvalidRequest
from handler.record import RequestLog, RequestRecord
from handler.scope import ERROR_TRAILERS, RECORD
from handler.trace_id import xray_trace_id


class Stopping(RuntimeError):
    """The process was told to stop before the answer was complete."""


class InvocationRunner:
    """Runs invocations of one application. `margin_ms`: how long before Lambda's deadline an answer has to end."""

    def __init__(self, app: ASGIApp, *, state: State, margin_ms: int, log: RequestLog | None = None) -> None:
        self._app = app
        self._state = state
        self._margin_ms = margin_ms
        self._log = log or RequestLog()
        self._translate = Translator(app)

    async def run(self, client: RuntimeClient, invocation: Invocation) -> None:
        """Answers the invocation, one way or another, and logs one line. Raises only CancelledError."""
        record = self._log.begin(aws_request_id=invocation.request_id, trace_id=xray_trace_id(invocation.trace_id))
        exchange = Exchange(client, invocation)
        fault: Fault | None = None
        try:
            request = self._request(invocation, record)
            exchange = Exchange(client, invocation, body=request.body(), method=request.scope["method"])
            await self._app(request.scope, exchange.receive, exchange.send)
            if exchange.phase in (Phase.WAITING, Phase.STREAMING):
                raise IncompleteResponse
        except asyncio.CancelledError:
            fault = _failed(record, Stopping())
            raise
        except UnsupportedEvent as error:
            fault = _failed(record, error)
        except InvalidRequest as error:
            fault = await _answer(exchange, error, record)
        except Exception as error:
            fault = None if _tells_of_reader(error) else _failed(record, error)
        finally:
            await _finish(exchange, fault)
            record.status, record.sent_bytes = exchange.status or None, exchange.sent_bytes
            record.disconnected = record.disconnected or exchange.phase is Phase.GONE
            self._log.write(record)

    def _request(self, invocation: Invocation, record: RequestRecord) -> Request:
        context = LambdaContext(
            aws_request_id=invocation.request_id,
            invoked_function_arn=invocation.function_arn,
            deadline_ms=invocation.deadline_ms,
        )
        request = self._translate(parse_event(invocation.event), context)
        record.source = request.source
        request.scope[RECORD] = record
        request.scope["state"] = request_state(
            self._state, remaining_ms=context.get_remaining_time_in_millis(), margin_ms=self._margin_ms
        )
        request.scope.setdefault("extensions", {})[ERROR_TRAILERS] = {}
        return request


async def _answer(exchange: Exchange, error: InvalidRequest, record: RequestRecord) -> Fault | None:
    """A 4xx from here where the application was not reached; a fault where it let one of its own escape."""
    if exchange.phase is not Phase.WAITING:
        return _failed(record, error)
    record.refused(error)
    with suppress(OSError):
        await exchange.respond(error_response(error, record.request_id))
    return None


def _failed(record: RequestRecord, error: BaseException) -> Fault:
    record.failed(error)
    return fault_of(error)


def _tells_of_reader(error: BaseException | None) -> bool:
    """Whether the application only passed on, in its own words perhaps, that its reader has gone."""
    while error is not None and not isinstance(error, ReaderGone):
        error = error.__cause__ or error.__context__
    return error is not None


async def _finish(exchange: Exchange, fault: Fault | None) -> None:
    # A Runtime API that refuses the news (the invocation timed out, say) is met again at `next`.
    with suppress(OSError, RuntimeApiError):
        if fault is not None:
            await exchange.fail(fault)
    await exchange.close()


@contextmanager
def trace(trace_id: str | None) -> Iterator[None]:
    """Lends X-Ray's trace header to the environment, where its SDK looks for it."""
    if trace_id is None:
        yield
        return
    os.environ[TRACE_VARIABLE] = trace_id
    try:
        yield
    finally:
        os.environ.pop(TRACE_VARIABLE, None)
