"""What every endpoint that runs a model has in common: a place among the answers in flight, the model, the engine's
thread, the deadline, and a client that may leave. What is asked and how the answer looks is the endpoint's own."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, aclosing, contextmanager
from functools import partial
from typing import Protocol, TypeVar

from fastapi import Request, Response
from starlette.types import Scope

from handler.api.admission import RETRY_AFTER_SECONDS, Admission
from handler.api.chunks import dumps
from handler.api.error_responses import error_object, told
from handler.api.json_body import check_headers, parse_object, read_body
from handler.api.quota import Meter
from handler.api.shelf import Shelf, Slot
from handler.api.sse import EventStream, StreamFailed, event, watching
from handler.api.stepping import EngineThread, Stream
from handler.api.values import JsonObject
from handler.errors import DeadlineExceeded, EndpointError, Unavailable
from handler.record import RequestRecord
from handler.scope import DEADLINE

MAX_DROPPED_SHOWN = 32  # paths in x-dropped-fields; clients refuse very long headers

E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)
S = TypeVar("S")


def error_event(error: EndpointError) -> bytes:
    """How a stream of unnamed events tells of a failure."""
    return event(dumps(error_object(error)))


class Prepared(Protocol[E_co]):
    """A request that will be answered: nothing that is left to do can be the caller's fault."""

    @property
    def prompt_tokens(self) -> int: ...

    @property
    def most_tokens(self) -> int:
        """Prompt and answer together come to no more."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes at most, beside the model's own."""
        ...

    def events(self, should_stop: Callable[[], bool], /) -> Generator[E_co, None, None]:
        """Runs the model, one step for each event. Ends soon once `should_stop()` is true."""
        ...


class Answering:
    """Answers requests on one engine thread, so many at once and no more."""

    def __init__(
        self, engine: EngineThread, admission: Admission, shelf: Shelf | None = None, *, max_seconds: float = 0.0
    ) -> None:
        """`max_seconds`: how long a request may take from its beginning; 0: as long as the server lets it."""
        self._engine = engine
        self._max_seconds = max_seconds
        self._admission = admission
        self._shelf = shelf or Shelf()

    @contextmanager
    def turn(self, request: Request) -> Iterator["Turn"]:
        """A place among the answers in flight; raises Busy where there is none. An answer that is streamed keeps it
        beyond the block."""
        with ExitStack() as closing, ExitStack() as held:
            closing.enter_context(self._admission.slot())
            yield Turn(request, self._engine, self._shelf, closing, held, max_seconds=self._max_seconds)


class Turn:
    """One request's place among the answers in flight: it holds a model, and then answers in one of three ways.

    `closing` is left when the response is over, `held` when the engine has done with it, which is a moment later where
    the client has left.
    """

    def __init__(
        self,
        request: Request,
        engine: EngineThread,
        shelf: Shelf,
        closing: ExitStack,
        held: ExitStack,
        *,
        max_seconds: float,
    ) -> None:
        self._request = request
        self._record = RequestRecord.of(request.scope)
        own = self._record.started + max_seconds if max_seconds else None
        self._deadline = min((end for end in (_deadline(request.scope), own) if end is not None), default=None)
        self._engine = engine
        self._shelf = shelf
        self._closing = closing
        self._held = held
        self._alone = shelf.ledger.capacity  # bytes for an answer, if it were alone with its model

    async def hold(self, slot: Slot[S]) -> S:
        """The model's service; it stays in memory until the answer is over. Waits until it is loaded.

        Raises Unavailable if it cannot be loaded, DeadlineExceeded if that takes longer than the request may.
        """
        loading = self._shelf.take(slot)
        self._held.callback(self._shelf.let_go, slot)
        self._alone = self._shelf.ledger.capacity - slot.nbytes
        if not loading.done():
            left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            # Others wait for the same load: it goes on, whoever gives up.
            done, _ = await asyncio.wait([asyncio.wrap_future(_shared(loading))], timeout=left)
            if not done:
                raise _too_late()
        if (error := loading.result()) is not None:
            raise error
        if slot.service is None:
            raise RuntimeError("a model that is held is in memory")
        return slot.service

    async def streamed(
        self,
        prepare: Callable[[int], Prepared[E]],
        render: Callable[[AsyncIterator[Sequence[E]]], AsyncGenerator[bytes, None]],
        *,
        headers: Mapping[str, str],
        failure: Callable[[EndpointError], bytes] = error_event,
    ) -> Response:
        """Server-sent events, made by `render`; those that tell of a failure after the first byte, by `failure`.
        Whatever `prepare` raises is raised before the first byte; it is told how many bytes there would be for this
        answer alone. Raises Unavailable where there are fewer beside other answers."""
        events, _ = await self._start(prepare)
        return EventStream(
            _failing_visibly(render(events), self._record, failure),
            on_disconnect=events.cancel,
            closing=self._closing.pop_all(),
            headers=headers,
        )

    async def whole(
        self,
        prepare: Callable[[int], Prepared[E]],
        fold: Callable[[AsyncIterator[Sequence[E]]], Awaitable[JsonObject | str | None]],
        *,
        headers: Mapping[str, str],
    ) -> Response:
        """One JSON object, made by `fold`, perhaps as text already. None from it: the events ended early, because
        nobody waits any more."""
        events, is_over = await self._start(prepare)
        record = self._record
        async with watching(self._request.receive, events.cancel):
            answer = await fold(events)
            async for _ in events:
                pass  # until the engine has let go of what the answer held: the next request may need it
        if answer is None:
            record.disconnected = True
            return Response(status_code=499)  # nginx's number; nobody will read it
        if record.completion_tokens == 0 and is_over():
            raise _too_late()
        text = answer if isinstance(answer, str) else dumps(answer)
        return Response(text.encode(), media_type="application/json", headers=dict(headers))

    async def computed(self, compute: Callable[[], JsonObject], *, headers: Mapping[str, str]) -> Response:
        """One JSON object that takes no step of the model to make."""
        answer = await asyncio.to_thread(compute)
        return Response(dumps(answer).encode(), media_type="application/json", headers=dict(headers))

    async def _start(self, prepare: Callable[[int], Prepared[E]]) -> tuple[Stream[E], Callable[[], bool]]:
        is_over = Countdown(self._deadline)
        # Not on the engine's thread: a long prompt or a large grammar would stall the answers in flight.
        prepared = await self._admitted(prepare)
        self._record.prompt_tokens = prepared.prompt_tokens
        if is_over():
            raise _too_late()
        await self._reserve(prepared.nbytes)
        events = self._engine.stream(partial(prepared.events, is_over), self._held.pop_all())
        self._closing.callback(events.cancel)
        return events, is_over

    async def _admitted(self, prepare: Callable[[int], Prepared[E]]) -> Prepared[E]:
        """What `prepare` returns, once the caller's key may have it answered."""
        meter = Meter.of(self._request.scope)
        if meter is None:
            return await asyncio.to_thread(prepare, self._alone)
        counting = asyncio.create_task(meter.count_request())
        try:
            prepared = await asyncio.to_thread(prepare, self._alone)
        finally:
            await counting  # who sends too much is told that first
        await meter.reserve(prepared.most_tokens)
        return prepared

    async def _reserve(self, nbytes: int) -> None:
        """Until the answer is over. Raises Unavailable."""
        if not self._shelf.ledger.take(nbytes) and not await asyncio.to_thread(self._shelf.reserve, nbytes):
            raise Unavailable(
                "Answers in flight take the memory that this one would need beside them. Please try again.",
                retry_after_seconds=RETRY_AFTER_SECONDS,
                code="out_of_memory",
            )
        self._held.callback(self._shelf.give_back, nbytes)


def _shared(loading: Future[EndpointError | None]) -> Future[EndpointError | None]:
    """The same, but for its cancellation, which is whoever waits for this one's own."""
    own: Future[EndpointError | None] = Future()

    def pass_on(done: Future[EndpointError | None]) -> None:
        if own.set_running_or_notify_cancel():
            own.set_result(None if done.cancelled() else done.result())

    loading.add_done_callback(pass_on)
    return own


def dropped_header(dropped: Sequence[str]) -> dict[str, str]:
    """The header that lists unknown keys which a setting let pass."""
    return {"x-dropped-fields": ", ".join(dropped[:MAX_DROPPED_SHOWN])} if dropped else {}


async def receive_object(request: Request, max_bytes: int) -> JsonObject:
    """The JSON object in the request's body. Raises InvalidRequest, BodyTooLarge or UnsupportedMediaType."""
    check_headers(request.headers, max_bytes)
    return parse_object(await read_body(request.stream(), max_bytes))


async def _failing_visibly(
    stream: AsyncGenerator[bytes, None], record: RequestRecord, failure: Callable[[EndpointError], bytes]
) -> AsyncGenerator[bytes, None]:
    """The same events; a failure is told in the last ones, without `[DONE]`, and then raised as StreamFailed."""
    try:
        async with aclosing(stream):
            async for item in stream:
                yield item
    except Exception as error:
        record.failed(error)
        yield failure(told(error))
        raise StreamFailed from error
    finally:
        record.disconnected = not record.complete and record.error is None


def _deadline(scope: Scope) -> float | None:
    """When the answer has to end, in monotonic seconds: the server's word, under `scope["state"]["deadline"]`."""
    state: Mapping[str, object] = scope.get("state") or {}
    value = state.get(DEADLINE)
    return float(value) if isinstance(value, int | float) else None


class Countdown:
    """Asked before each step: whether the time is up, or would be before a step as long as the last one is done.

    `deadline` is in monotonic seconds, None for no limit. Once the time is up, it stays up.
    """

    # A pause of a slow client looks like a step, and must not end an answer that has time.
    LONGEST_STEP = 5.0  # seconds

    def __init__(self, deadline: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._deadline = deadline
        self._clock = clock
        self._asked = clock()
        self._over = False

    def __call__(self) -> bool:
        if self._deadline is None:
            return False
        now = self._clock()
        step = min(now - self._asked, self.LONGEST_STEP)
        self._asked = now
        self._over = self._over or now + step >= self._deadline
        return self._over


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("The time for this request was up before the first token.")
