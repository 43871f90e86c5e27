"""Progress of an export: phases that are shown while they run and timed for the closing table."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO

from tqdm import tqdm

Step = Callable[[int], None]
"""Called with the number of units done since the last call."""

_SHOW_AFTER = 1.0  # seconds: shorter phases are timed but not shown
_LINE_EVERY = 5.0  # seconds between lines where there is no terminal to draw a bar on


class Progress(Protocol):
    """Where an export reports what it is doing.

    with progress.phase("quantize", total=len(names), unit="tensor") as step:
        for name in names:
            …
            step(1)
    """

    @property
    def seconds(self) -> Mapping[str, float]:
        """Wall-clock seconds per phase, in the order in which the phases began; a phase that ran twice adds up."""
        ...

    def phase(self, name: str, total: int | None = None, unit: str = "") -> AbstractContextManager[Step]:
        """Runs a phase of `total` units (None: unknown, then a step is only a sign of life)."""
        ...


class Stopwatch:
    """Phases timed and not shown."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @property
    def seconds(self) -> Mapping[str, float]:
        return self._seconds

    @contextmanager
    def phase(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Step]:
        self._seconds.setdefault(name, 0.0)
        begin = time.perf_counter()
        try:
            with self._shown(name, total, unit) as step:
                yield step
        finally:
            self._seconds[name] += time.perf_counter() - begin

    @contextmanager
    def _shown(self, name: str, total: int | None, unit: str) -> Iterator[Step]:  # noqa: ARG002 - for the heirs
        yield lambda _done: None


class Bars(Stopwatch):
    """A bar per phase, for a terminal."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        super().__init__()
        self._stream = stream

    @contextmanager
    def _shown(self, name: str, total: int | None, unit: str) -> Iterator[Step]:
        scaled = unit == "B"
        with tqdm(
            desc=name,
            total=total,
            unit=unit if scaled else f" {unit}",
            unit_scale=scaled,
            delay=_SHOW_AFTER,
            leave=False,
            file=self._stream,
        ) as bar:
            yield lambda done: _ignore(bar.update(done))


class Lines(Stopwatch):
    """A line now and then, and one at the end of a phase: for logs."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        super().__init__()
        self._stream = stream

    @contextmanager
    def _shown(self, name: str, total: int | None, unit: str) -> Iterator[Step]:
        begin = last = time.monotonic()
        count = 0

        def step(done: int) -> None:
            nonlocal count, last
            count += done
            now = time.monotonic()
            if now - last >= _LINE_EVERY:
                last = now
                of = "" if total is None else f"/{total}"
                print(f"{name}: {count}{of} {unit}".rstrip(), file=self._stream, flush=True)

        yield step
        elapsed = time.monotonic() - begin
        if elapsed >= _SHOW_AFTER:
            print(f"{name}: done in {elapsed:.1f} s", file=self._stream, flush=True)


def console_progress(stream: TextIO = sys.stderr) -> Progress:
    """Bars on a terminal, lines elsewhere."""
    return Bars(stream) if stream.isatty() else Lines(stream)


def _ignore(_value: object) -> None:
    return None
