"""Servers that differ by one setting, asked in turns: what the setting is worth."""

from collections.abc import Callable, Mapping, Sequence

from tests.bench.command import Missing, Options, Record, alternate
from tests.bench.servers import RECIPE, Server

Sample = Callable[[Server], float]


def compare(
    servers: Sequence[Server],
    failed: Mapping[str, Missing],
    metric: str,
    unit: str,
    sample: Sample,
    options: Options,
    record: Record,
    *,
    rounds: int,
    at: int | None = None,
) -> None:
    """Records `metric` of each server, in turns, and the servers that did not start as missing."""
    found = alternate(servers, sample, rounds=options.rounds(rounds))
    results: dict[str, list[float] | Missing] = {server.name: found[server] for server in servers}
    for name, result in {**results, **failed}.items():
        if isinstance(result, Missing):
            record.missing(name, metric, unit, result, recipe=RECIPE, at=at)
        else:
            record.samples(name, metric, result, unit, recipe=RECIPE, at=at)
