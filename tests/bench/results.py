"""Measurements, asked for by what they are. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.bench.measurement import Measurement


@dataclass(frozen=True, slots=True)
class Results:
    """What one or several runs measured; of the same thing measured twice, the later one counts."""

    measurements: tuple[Measurement, ...]

    def find(
        self, bench: str, system: str, metric: str, *, threads: int = 2, at: int | None = None
    ) -> Measurement | None:
        for found in reversed(self.measurements):
            if (found.bench, found.system, found.metric, found.threads, found.at) == (
                bench,
                system,
                metric,
                threads,
                at,
            ):
                return found
        return None

    def value(self, bench: str, system: str, metric: str, *, threads: int = 2, at: int | None = None) -> float | None:
        """The median; None where it was not or could not be measured."""
        found = self.find(bench, system, metric, threads=threads, at=at)
        return None if found is None else found.value

    def systems(self, bench: str, metric: str) -> list[str]:
        """In the order in which they were measured."""
        return list(dict.fromkeys(found.system for found in self._of(bench, metric)))

    def places(self, bench: str, metric: str) -> list[int]:
        """Where on the axis it was measured, ascending."""
        return sorted({found.at for found in self._of(bench, metric) if found.at is not None})

    def missing(self) -> dict[str, str]:
        """Why a system has no figure, by system; the first reason of each."""
        reasons: dict[str, str] = {}
        for found in self.measurements:
            if found.value is None:
                reasons.setdefault(found.system, found.note)
        return reasons

    def _of(self, bench: str, metric: str) -> Iterable[Measurement]:
        return (found for found in self.measurements if (found.bench, found.metric) == (bench, metric))


def ratio(above: float | None, below: float | None) -> float | None:
    """`above / below`; None where either is missing."""
    return above / below if above is not None and below else None
