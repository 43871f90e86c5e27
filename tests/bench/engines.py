"""Engines side by side, without servers: every system loaded at once, one asked at a time, on one core and on two."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from tests.bench.command import Missing, Options, Record, alternate
from tests.bench.fleet import Fleet, fleet
from tests.bench.systems import System, systems
from tests.bench.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What one question to a worker measures, once or many times. Systems with more than `most_bits` are not asked."""

    name: str
    unit: str
    samples: Callable[[Worker], Sequence[float]]
    rounds: int
    warm_up: int = 1
    most_bits: int = 32


def compare(metrics: Sequence[Metric], options: Options, record: Record) -> None:
    """Records each metric of each system, in turns."""
    everything = [system for system in systems(record.machine) if options.wants(system.name)]
    for threads in (1, 2):
        with fleet(everything, threads=threads) as running:
            for metric in metrics:
                asked = [system for system in everything if system.bits <= metric.most_bits]
                samples = _samples(metric, [system for system in asked if system in running.workers], running, options)
                for system in asked:
                    result = running.failed.get(system) or samples[system]
                    if isinstance(result, Missing):
                        record.missing(
                            system.name, metric.name, metric.unit, result, threads=threads, recipe=system.recipe
                        )
                    else:
                        record.samples(
                            system.name,
                            metric.name,
                            result,
                            metric.unit,
                            threads=threads,
                            recipe=system.recipe,
                            versions=running.versions[system],
                        )


def _samples(
    metric: Metric, wanted: Sequence[System], running: Fleet, options: Options
) -> dict[System, list[float] | Missing]:
    """What all rounds found, in one list for each system."""
    found = alternate(
        wanted,
        lambda system: metric.samples(running.workers[system]),
        rounds=options.rounds(metric.rounds),
        warm_up=metric.warm_up,
    )
    return {
        system: rounds if isinstance(rounds, Missing) else list(chain.from_iterable(rounds))
        for system, rounds in found.items()
    }
