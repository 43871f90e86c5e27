"""One measurement, as one line of JSON. The law of this directory: no figure without what it was measured on."""

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """`value` is the median of `n` samples in `unit`; None where it could not be measured, and `note` says why.

    `at` is the place on the axis, where a bench varies one thing: tokens of history, streams side by side.
    `p90`: nine in ten samples were at least as good.
    """

    bench: str
    system: str
    metric: str
    unit: str
    value: float | None = None
    median: float | None = None
    p90: float | None = None
    n: int = 0
    at: int | None = None
    threads: int
    model: str
    recipe: str
    note: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    commit: str
    cpu: str
    cpu_features: tuple[str, ...]
    date: str

    def line(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


def summary(samples: Sequence[float], unit: str) -> tuple[float, float]:
    """The median, and what nine in ten samples reach: of rates (`…/s`) the tenth percentile, of costs the ninetieth."""
    ordered = sorted(samples, reverse=is_rate(unit))
    return statistics.median(ordered), ordered[math.ceil(0.9 * len(ordered)) - 1]


def is_rate(unit: str) -> bool:
    """Whether more is better."""
    return unit.endswith("/s")


def read(paths: Iterable[Path]) -> list[Measurement]:
    """The measurements in JSON Lines files, in the order of the files."""
    return [
        Measurement(**{**entry, "cpu_features": tuple(entry["cpu_features"])})
        for path in paths
        for entry in map(json.loads, path.read_text().splitlines())
    ]
