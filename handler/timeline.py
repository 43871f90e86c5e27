"""Where a start's time goes: one line of JSON when the process is ready. Reads the clock and, if there is one, /proc.

The main thread's phases follow one another and add up to the total. What other threads do meanwhile lies beside them.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_STAT = Path("/proc/self/stat")
_START_TIME = 19  # man proc_pid_stat: field 22, counted from behind the name, which may hold spaces; ticks since boot


class Timeline:
    """Milliseconds since the process began; where the system does not tell, since this object was made."""

    def __init__(self, *, age: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        """`age`: seconds that the process has run already; `clock` is in seconds."""
        self._clock = clock
        self._began = clock() - age
        self._ends: dict[str, int] = {}
        self._beside: dict[str, tuple[int, int]] = {}
        self._counts: dict[str, int] = {}

    @classmethod
    def of_process(cls) -> "Timeline":
        """Its first phase, `interpreter`, ends now; it is missing where the system does not tell."""
        age = process_age()
        timeline = cls(age=age or 0.0)
        if age is not None:
            timeline.end("interpreter")
        return timeline

    def end(self, phase: str) -> None:
        """What the main thread has done since the end of the last phase was this one."""
        self._ends[phase] = self._now()

    @contextmanager
    def beside(self, name: str) -> Iterator[None]:
        """What another thread does from here to the end of the block."""
        begin = self._now()
        yield
        self._beside[name] = (begin, self._now())

    @property
    def total_ms(self) -> int:
        """From the beginning to the end of the last phase."""
        return [0, *self._ends.values()][-1]

    def count(self, name: str, value: int) -> None:
        """A number, or whether something is so, to be told beside the times."""
        self._counts[name] = value

    def to_json(self) -> str:
        """`phases_ms`: how long each took, in their order. `beside_ms`: begin and end, by their begin. Then the counts,
        if there are any."""
        ends = [0, *self._ends.values()]
        phases = {name: ends[at + 1] - ends[at] for at, name in enumerate(self._ends)}
        beside = dict(sorted(self._beside.items(), key=lambda item: item[1]))
        told = {"event": "ready", "total_ms": ends[-1], "phases_ms": phases, "beside_ms": beside}
        return json.dumps(told | self._counts)

    def _now(self) -> int:
        return round((self._clock() - self._began) * 1000)


def process_age() -> float | None:
    """Seconds since this process began, to a hundredth; None where the system does not tell."""
    try:
        fields = _STAT.read_text().rpartition(")")[2].split()
        started = int(fields[_START_TIME]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)
    except (OSError, AttributeError):  # no /proc; no clock that counts from the boot
        return None
