"""Numbers that many requests add to and that keep within a limit: what a quota needs to know of where they are kept.

Here is the one for a single process; one that outlives it is `handler.aws.counter`'s.
"""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from handler.frozen import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """`value`: the number after the addition, or as it was where that was refused."""

    value: int
    added: bool


class Counter(Protocol):
    """Numbers by name, 0 at first."""

    def add(self, name: str, amount: int, *, limit: int | None, expires: int) -> Count:
        """Adds `amount`, or nothing where the number would then be above `limit`: in one step, whoever else adds.

        `expires`: Unix seconds after which the number may be forgotten. Blocks. Raises Unavailable where it cannot be
        known what the number is.
        """
        ...


class MemoryCounter:
    """Numbers of this process. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers: dict[str, tuple[int, int]] = {}

    def add(self, name: str, amount: int, *, limit: int | None, expires: int) -> Count:
        with self._lock:
            if name not in self._numbers:
                now = self._clock()
                self._numbers = {key: kept for key, kept in self._numbers.items() if kept[1] > now}
            value, _ = self._numbers.get(name, (0, 0))
            if limit is not None and value + amount > limit:
                return Count(value=value, added=False)
            self._numbers[name] = (value + amount, expires)
            return Count(value=value + amount, added=True)
