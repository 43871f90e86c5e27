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
        self._free = threading.Semaphore(limit)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """A place for one answer. Raises Busy where there is none."""
        if not self._free.acquire(blocking=False):
            raise Busy(
                f"The server is answering {self._limit} requests, as many as it takes at once. Please try again.",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
        try:
            yield
        finally:
            self._free.release()
