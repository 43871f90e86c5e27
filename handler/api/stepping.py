"""The engine thread: everything that computes runs there, in rounds.

In a round each answer that can go on does so, up to the `Step` that it needs next, and then the Steps of all run, one
token each in one forward call (`engine/rounds.py`). What has no Steps (an embedding) computes one item in its turn. So
no answer waits for another to end, and the event loop never blocks. A consumer that falls behind stops its own answer
and no other.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Generic, Protocol, TypeVar

from handler.engine.rounds import Rounds, run_first
from handler.engine.step import Step

T = TypeVar("T")

# Enough for the event loop to send what a step gave while the engine computes the next; few enough that a client that
# leaves stops the computing within two tokens.
LOOKAHEAD = 2  # steps


class _Turn(Protocol):
    step: Step | None
    """What it waits for."""

    @property
    def has_to_run(self) -> bool:
        """Whether some of its step is still to be run, and somebody wants it."""
        ...

    def go_on(self) -> bool:
        """Computes, on the engine thread, up to the next step, or one item. False: it is over."""
        ...

    def must_wait(self) -> bool:
        """Whether it waits for its consumer; called with the engine's lock held."""
        ...


class EngineThread:
    """A queue of turns and the daemon thread that takes them, started by the first one. Thread-safe."""

    def __init__(self, *, batching: bool = True) -> None:
        """`batching`: whether answers share forward calls, or take turns."""
        self._changed = threading.Condition(threading.Lock())
        self._ready: deque[_Turn] = deque()
        self._parked: set[_Turn] = set()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._run_steps: Callable[[Sequence[Step]], None] = Rounds().run if batching else run_first

    def close(self) -> None:
        """Waits for the round under way and ends the thread; what still waits for a turn gets none.

        Without it the interpreter would end while ONNX Runtime computes, and the process abort.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def stream(self, start: Callable[[], Iterator[T]], held: ExitStack | None = None) -> "Stream[T]":
        """The items of `start()` between its Steps, one burst of them after the other; called, run and closed on the
        engine thread. Use within a running event loop. `held` is left, on the engine thread, when nothing more will
        be computed."""
        stream = Stream(self, start, held or ExitStack())
        self._submit(stream)
        return stream

    def consumed(self, turn: _Turn) -> None:
        """The consumer of `turn` has moved on: if it waits, it gets its place in the queue back."""
        with self._changed:
            if turn in self._parked and not turn.must_wait():
                self._parked.remove(turn)
                self._ready.append(turn)
                self._changed.notify()

    def _submit(self, turn: _Turn) -> None:
        with self._changed:
            self._ready.append(turn)
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        stepping: list[_Turn] = []
        while not self._closed:
            if self._ready or not stepping:
                stepping = self._round(stepping, self._next(stepping))
            else:
                stepping = self._round(stepping)

    def _next(self, stepping: Sequence[_Turn]) -> list[_Turn]:
        """Who has become ready. Waits for somebody if nobody is `stepping`."""
        with self._changed:
            while not (self._ready or stepping or self._closed):
                self._changed.wait()
            ready = [*self._ready]
            self._ready.clear()
        return ready

    def _round(self, stepping: Sequence[_Turn], ready: Sequence[_Turn] = ()) -> list[_Turn]:
        """Lets go on who can; runs steps. Returns those that had one: some of it may be left to run."""
        waiting: list[_Turn] = []
        going_on: list[_Turn] = []
        for turn in stepping:
            (waiting if turn.has_to_run else going_on).append(turn)
        for turn in (*ready, *going_on):
            if not turn.go_on():
                continue
            if turn.must_wait() and self._park(turn):
                continue
            if turn.step is not None:
                waiting.append(turn)
            else:
                with self._changed:
                    self._ready.append(turn)
        if waiting:
            self._run_steps([turn.step for turn in waiting if turn.step is not None])
        return waiting

    def _park(self, turn: _Turn) -> bool:
        """Sets aside a turn that has to wait for its consumer, unless that has moved on just now."""
        with self._changed:
            if turn.must_wait():
                self._parked.add(turn)
                return True
        return False


class _End:
    """The mark after the last item; carries what went wrong, if anything did."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


class Stream(Generic[T]):
    """An async iterator over what the engine thread computes: bursts, of what one step gave or, where there are no
    steps, of one item. Ends early, without an error, when cancelled."""

    def __init__(self, engine: EngineThread, start: Callable[[], Iterator[T]], held: ExitStack) -> None:
        self._engine = engine
        self._held = held
        self._loop = asyncio.get_running_loop()
        self._start = start
        self._iterator: Iterator[T] | None = None
        self._bursts: asyncio.Queue[list[T] | _End] = asyncio.Queue()
        self._has_steps = False
        self._ahead = 0  # items computed; written by the engine thread only
        self._begun = deque([0], maxlen=LOOKAHEAD - 1)  # how many there were when each of the last bursts of them began
        self._taken = 0  # items consumed; written by the event loop only
        self.step: Step | None = None
        self.cancelled = False

    def __aiter__(self) -> "Stream[T]":
        return self

    async def __anext__(self) -> list[T]:
        if self.cancelled:
            raise StopAsyncIteration
        burst = await self._bursts.get()
        if isinstance(burst, _End):
            self._bursts.put_nowait(_End())  # asked again, it ends again
            if burst.error is not None:
                raise burst.error
            raise StopAsyncIteration
        self._taken += len(burst)
        self._engine.consumed(self)
        return burst

    def cancel(self) -> None:
        """Stops the computing at the next step and ends the iteration. Idempotent; call on the event loop."""
        if not self.cancelled:
            self.cancelled = True
            self._bursts.put_nowait(_End())
            self._engine.consumed(self)

    @property
    def has_to_run(self) -> bool:
        return self.step is not None and not self.step.is_over and not self.cancelled

    def go_on(self) -> bool:
        if self.cancelled:
            self._close()
            return False
        if self.has_to_run:  # it had to wait for its consumer
            return True
        self.step = None
        burst: list[T] = []
        try:
            if self._iterator is None:
                self._iterator = self._start()
            while not isinstance(item := next(self._iterator), Step):
                burst.append(item)
                if not self._has_steps:
                    break
            else:
                self.step, self._has_steps = item, True
        except StopIteration:
            return self._end(burst, None)
        except Exception as error:  # whatever it is, it belongs to the consumer
            return self._end(burst, error)
        self._tell(burst)
        return True

    def must_wait(self) -> bool:
        return self._taken < self._begun[0] and not self.cancelled

    def _tell(self, burst: list[T]) -> None:
        if burst:
            self._begun.append(self._ahead)
            self._ahead += len(burst)
            if not _post(self._loop, self._bursts.put_nowait, burst):
                self.cancelled = True

    def _end(self, burst: list[T], error: Exception | None) -> bool:
        self._held.close()  # before anybody knows of the end: whoever asks next finds what was held free
        self._tell(burst)
        _post(self._loop, self._bursts.put_nowait, _End(error))
        return False

    def _close(self) -> None:
        self.step = None
        close = getattr(self._iterator, "close", None)
        try:
            if close is not None:
                close()
        finally:
            self._held.close()


def _post(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], argument: object) -> bool:
    """Runs the callback on the loop. False if the loop has closed: whoever asked is gone."""
    try:
        loop.call_soon_threadsafe(callback, argument)
    except RuntimeError:
        return False
    return True
