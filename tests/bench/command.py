"""What every bench has in common: `python -m tests.bench.NAME [--quick] [--out FILE]`, and the record of its results.

A bench is one function `measure(options, record)`. It asks the systems that it compares in turns (`alternate`), drops
the warm-up, and records samples; the record adds what they were measured on and writes a line of JSON for each.
"""

import argparse
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO, TypeVar

from tests.bench.machine import ROOT, Machine, cpus, this_machine
from tests.bench.measurement import Measurement, summary

RESULTS = ROOT / "artifacts" / "bench"
System = TypeVar("System")
Sample = TypeVar("Sample")

MODEL = "SmolLM2-135M-Instruct"
CORES = 2  # what everything runs on, unless it is pinned to one of them


class Missing(Exception):
    """A system cannot be measured here: the message says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """`quick`: one short round, to see that everything runs; its figures mean nothing. `only`: the systems to measure
    anew, by name; empty: all."""

    quick: bool = False
    only: tuple[str, ...] = ()

    def wants(self, system: str) -> bool:
        return not self.only or system in self.only

    def rounds(self, full: int) -> int:
        """How many rounds to count."""
        return 1 if self.quick else full


@dataclass(frozen=True, slots=True)
class Record:
    """Writes measurements of one bench to a file, and a short form to the terminal."""

    bench: str
    machine: Machine
    file: TextIO

    def samples(
        self,
        system: str,
        metric: str,
        samples: Sequence[float],
        unit: str,
        *,
        threads: int = CORES,
        recipe: str = "",
        at: int | None = None,
        note: str = "",
        versions: Mapping[str, str] | None = None,
    ) -> None:
        median, p90 = summary(samples, unit)
        place = self._without_value(system, metric, unit, note, threads=threads, recipe=recipe, at=at)
        self._write(replace(place, value=median, median=median, p90=p90, n=len(samples), versions=dict(versions or {})))

    def missing(
        self,
        system: str,
        metric: str,
        unit: str,
        reason: object,
        *,
        threads: int = CORES,
        recipe: str = "",
        at: int | None = None,
    ) -> None:
        """`reason` stands in the report where the figure would."""
        self._write(self._without_value(system, metric, unit, str(reason), threads=threads, recipe=recipe, at=at))

    def _without_value(
        self, system: str, metric: str, unit: str, note: str, *, threads: int, recipe: str, at: int | None
    ) -> Measurement:
        return Measurement(
            bench=self.bench,
            system=system,
            metric=metric,
            unit=unit,
            at=at,
            threads=threads,
            model=MODEL,
            recipe=recipe,
            note=note,
            commit=self.machine.commit,
            cpu=self.machine.cpu,
            cpu_features=self.machine.cpu_features,
            date=self.machine.date,
        )

    def _write(self, measurement: Measurement) -> None:
        self.file.write(measurement.line() + "\n")
        self.file.flush()
        found = f"missing: {measurement.note}" if measurement.value is None else f"{measurement.value:.4g}"
        place = "" if measurement.at is None else f" at {measurement.at}"
        print(
            f"{self.bench:12} {measurement.system:34} {measurement.metric + place:32} T{measurement.threads}"
            f" {found} {'' if measurement.value is None else measurement.unit}",
            flush=True,
        )


def alternate(
    systems: Sequence[System],
    measure: Callable[[System], Sample],
    *,
    rounds: int,
    warm_up: int = 1,
) -> dict[System, list[Sample] | Missing]:
    """Asks each system in turn, `rounds` times after `warm_up` dropped rounds: what slows the machine slows all alike.

    A system that raises Missing is asked no more; the exception stands for its samples.
    """
    found: dict[System, list[Sample] | Missing] = {system: [] for system in systems}
    for turn in range(warm_up + rounds):
        for system in systems:
            samples = found[system]
            if isinstance(samples, Missing):
                continue
            try:
                sample = measure(system)
            except Missing as reason:
                found[system] = reason
                continue
            if turn >= warm_up:
                samples.append(sample)
    return found


def run(bench: str, measure: Callable[[Options, Record], None], arguments: Sequence[str] | None = None) -> int:
    """The command line of a bench. Returns the exit status."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.bench.{bench}", description=measure.__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: does everything run?")
    parser.add_argument("--only", nargs="+", default=(), metavar="SYSTEM", help="these; the others' results are kept")
    parser.add_argument("--out", type=Path, default=RESULTS / f"{bench}.jsonl", help="JSON Lines, written anew")
    options = parser.parse_args(arguments)
    with pinned(), recording(bench, options.out, further=bool(options.only)) as record:
        measure(Options(quick=options.quick, only=tuple(options.only)), record)
    return 0


@contextmanager
def recording(bench: str, path: Path, *, further: bool = False) -> Iterator[Record]:
    """A record in `path`, which changes only when the bench has come to its end. `further`: behind what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("w") as file:
        if further and path.exists():
            file.write(path.read_text())
        yield Record(bench, this_machine(), file)
    partial.replace(path)


@contextmanager
def pinned(count: int = CORES) -> Iterator[None]:
    """This process, and all that it starts meanwhile, on the first `count` CPUs that it may use."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus(min(count, len(before))))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, before)
