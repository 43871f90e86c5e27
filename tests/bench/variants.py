"""Servers that differ by one setting, asked in turns: what the setting is worth."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from tests.bench.command import Missing, Options, Record, alternate
from tests.bench.servers import RECIPE, Server

Asked = TypeVar("Asked")


def compare(
    servers: Sequence[Server],
    failed: Mapping[str, Missing],
    ask: Callable[[Server], Asked],
    figures: Mapping[tuple[str, str], Callable[[Asked], float]],
    options: Options,
    record: Record,
    *,
    rounds: int,
    at: int | None = None,
) -> None:
    """Records `figures`, by (metric, unit), of what `ask` returns, in turns; what did not start is missing."""
    found = alternate(servers, ask, rounds=options.rounds(rounds))
    results: dict[str, list[Asked] | Missing] = {server.name: found[server] for server in servers}
    for name, result in {**results, **failed}.items():
        for (metric, unit), figure in figures.items():
            if isinstance(result, Missing):
                record.missing(name, metric, unit, result, recipe=RECIPE, at=at)
            else:
                record.samples(name, metric, [figure(answer) for answer in result], unit, recipe=RECIPE, at=at)
