"""The engine thread: everything that computes runs there, one step at a time, in turns.

One `next()` of an answer's iterator is one step (a chunk of prefill or one token; milliseconds). Answers in flight take
turns in the order they came, so none waits for another to end, and the event loop never blocks. A consumer that
falls behind, by `LOOKAHEAD` items, stops its own answer and no other.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from handler.engine.step import Step

T = TypeVar("T")

# Enough for the event loop to send one item while the engine computes the next; few enough that a client that leaves
# stops the computing within two tokens.
LOOKAHEAD = 2


class _Turn(Protocol):
    def step(self) -> bool:
        """Runs one step on the engine thread. Whether there is another."""
        ...

    def must_wait(self) -> bool:
        """Whether the next step waits for the consumer; called with the engine's lock held."""
        ...


class EngineThread:
    """A queue of turns and the daemon thread that takes them, started by the first one. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ready: deque[_Turn] = deque()
        self._parked: set[_Turn] = set()
        self._thread: threading.Thread | None = None
        self._closed = False

    def close(self) -> None:
        """Waits for the step under way and ends the thread; what still waits for a turn gets none.

        Without it the interpreter would end while ONNX Runtime computes, and the process abort.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def stream(self, start: Callable[[], Iterator[T]]) -> "Stream[T]":
        """The items of `start()`; called, stepped and closed on the engine thread. Use within a running event loop."""
        stream = Stream(self, start)
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
        while True:
            with self._changed:
                while not (self._ready or self._closed):
                    self._changed.wait()
                if self._closed:
                    return
                turn = self._ready.popleft()
            again = turn.step()
            with self._changed:
                if again and turn.must_wait():
                    self._parked.add(turn)
                elif again:
                    self._ready.append(turn)
            del turn  # an ended answer must not live on until the next one


class _End:
    """The mark after the last item; carries what went wrong, if anything did."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


class Stream(Generic[T]):
    """An async iterator over what the engine thread computes. Ends early, without an error, when cancelled."""

    def __init__(self, engine: EngineThread, start: Callable[[], Iterator[T]]) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._start = start
        self._iterator: Iterator[T] | None = None
        self._items: asyncio.Queue[T | _End] = asyncio.Queue()
        self._ahead = 0  # items computed; written by the engine thread only
        self._taken = 0  # items consumed; written by the event loop only
        self.cancelled = False

    def __aiter__(self) -> "Stream[T]":
        return self

    async def __anext__(self) -> T:
        if self.cancelled:
            raise StopAsyncIteration
        item = await self._items.get()
        if isinstance(item, _End):
            self._items.put_nowait(_End())  # asked again, it ends again
            if item.error is not None:
                raise item.error
            raise StopAsyncIteration
        self._taken += 1
        self._engine.consumed(self)
        return item

    def cancel(self) -> None:
        """Stops the computing at the next step and ends the iteration. Idempotent; call on the event loop."""
        if not self.cancelled:
            self.cancelled = True
            self._items.put_nowait(_End())
            self._engine.consumed(self)

    def step(self) -> bool:
        try:
            if self.cancelled:
                self._close()
                return False
            if self._iterator is None:
                self._iterator = self._start()
            item = next(self._iterator)
            if isinstance(item, Step):
                item.run()
                return True
        except StopIteration:
            return self._end(None)
        except Exception as error:  # whatever it is, it belongs to the consumer
            return self._end(error)
        self._ahead += 1
        if not _post(self._loop, self._items.put_nowait, item):
            self.cancelled = True
        return True

    def must_wait(self) -> bool:
        return self._ahead - self._taken >= LOOKAHEAD and not self.cancelled

    def _end(self, error: Exception | None) -> bool:
        _post(self._loop, self._items.put_nowait, _End(error))
        return False

    def _close(self) -> None:
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()


def _post(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], argument: object) -> bool:
    """Runs the callback on the loop. False if the loop has closed: whoever asked is gone."""
    try:
        loop.call_soon_threadsafe(callback, argument)
    except RuntimeError:
        return False
    return True
