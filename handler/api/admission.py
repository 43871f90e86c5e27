"""How many answers are in flight, and no more: above the limit, 429."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from handler.errors import Busy

RETRY_AFTER_SECONDS = 1


class Admission:
    """Counts answers in flight. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_flight = 0
        self._lock = threading.Lock()

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight."""
        return self._in_flight == 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """A place for one answer. Raises Busy where there is none."""
        with self._lock:
            if self._in_flight == self._limit:
                raise Busy(
                    f"The server is answering {self._limit} requests, as many as it takes at once. Please try again.",
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                )
            self._in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1
