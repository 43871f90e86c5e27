"""Progress of an export: phases that are shown while they run and timed for the closing table."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, TextIO

from tqdm import tqdm

from model_export.table import size

Step = Callable[[int], None]
"""Called with the number of units done since the last call."""

BYTES = "B"  # the unit that is shown as kB, MB, GB
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

    def phase(self, name: str, total: int | None = None, unit: str = "step") -> AbstractContextManager[Step]:
        """Runs a phase of `total` units (None: unknown, then only its name is shown); `unit` in the singular."""
        ...


class Stopwatch:
    """Phases timed and not shown."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @property
    def seconds(self) -> Mapping[str, float]:
        return self._seconds

    @contextmanager
    def phase(self, name: str, total: int | None = None, unit: str = "step") -> Iterator[Step]:
        self._seconds.setdefault(name, 0.0)
        begin = time.perf_counter()
        try:
            with self._display(name, total, unit) as step:
                yield step
        finally:
            self._seconds[name] += time.perf_counter() - begin

    def _display(self, _name: str, _total: int | None, _unit: str) -> AbstractContextManager[Step]:
        return nullcontext(_no_step)


class Bars(Stopwatch):
    """A bar per phase, for a terminal."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    @contextmanager
    def _display(self, name: str, total: int | None, unit: str) -> Iterator[Step]:
        if total is None:
            print(f"{name} …", file=self._stream, flush=True)
            yield _no_step
            return
        with tqdm(
            desc=name,
            total=total,
            unit=unit if unit == BYTES else f" {unit}",
            unit_scale=unit == BYTES,
            delay=_SHOW_AFTER,
            leave=False,
            file=self._stream,
        ) as bar:

            def step(done: int) -> None:
                bar.update(done)

            yield step


class Lines(Stopwatch):
    """A line now and then, and one at the end of a long phase: for logs."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    @contextmanager
    def _display(self, name: str, total: int | None, unit: str) -> Iterator[Step]:
        begin = last = time.monotonic()
        count = 0

        def step(done: int) -> None:
            nonlocal count, last
            count += done
            now = time.monotonic()
            if now - last >= _LINE_EVERY:
                last = now
                self._print(f"{name}: {_share(count, total or 0, unit)}")

        if total is None:
            self._print(f"{name} …")
        yield step if total is not None else _no_step
        elapsed = time.monotonic() - begin
        if elapsed >= _SHOW_AFTER:
            self._print(f"{name}: done in {elapsed:.1f} s")

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def console_progress(stream: TextIO) -> Progress:
    """Bars on a terminal, lines elsewhere."""
    return Bars(stream) if stream.isatty() else Lines(stream)


def _share(count: int, total: int, unit: str) -> str:
    return f"{size(count)} of {size(total)}" if unit == BYTES else f"{count} of {total} {unit}s"


def _no_step(_done: int) -> None:
    return None
