"""How fast a function of so much memory answers: from what `make bench` measured, at one core and at two.

What is not measured is said: shares of a core are taken as shares of its speed, sizes between one core and two lie on
the line between them, and beyond two cores nothing is gained. Another architecture is taken to be as fast.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cost.errors import CannotEstimate

MEASURED = Path(__file__).parents[1] / "docs" / "figures" / "results.jsonl"
SYSTEM = "lambda-llm"
# AWS: "at 1,769 MB, a function has the equivalent of one vCPU".
MB_PER_CORE = 1769
SHORT, LONG = 512, 2000  # prompt tokens at which prefill was measured
CORES = (1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speeds:
    """Tokens per second; `init` in seconds; `peak_mb` is the memory that was used. `basis`: what is measured about it,
    and what is not."""

    prefill_short: float
    prefill_long: float
    decode: float
    init: float
    peak_mb: float
    measured_on: str
    basis: str

    def prefill(self, tokens: int) -> float:
        """The rate for a prompt of so many tokens: the longer, the slower, as far as was measured."""
        share = min(max((tokens - SHORT) / (LONG - SHORT), 0.0), 1.0)
        return self.prefill_short + share * (self.prefill_long - self.prefill_short)

    def seconds(self, prompt: int, completion: int) -> float:
        """From the first prompt token to the last of the answer."""
        return prompt / self.prefill(prompt) + completion / self.decode


def read_speeds(recipe: str, memory_mb: int, path: Path = MEASURED) -> Speeds:
    """Raises CannotEstimate where nothing was measured of the recipe, or the memory would not suffice."""
    cores = memory_mb / MB_PER_CORE
    figures, machine = _figures(path, recipe)
    speeds = Speeds(
        prefill_short=_at(cores, figures, f"prefill {SHORT}"),
        prefill_long=_at(cores, figures, f"prefill {LONG}"),
        decode=_at(cores, figures, "decode"),
        init=figures["ready", CORES[-1]] / 1000,
        peak_mb=max(figures["peak memory", count] for count in CORES),
        measured_on=machine,
        basis=_basis(cores),
    )
    if memory_mb < speeds.peak_mb:
        raise CannotEstimate(
            f"{recipe} used {speeds.peak_mb:.0f} MB at its peak, {memory_mb} MB do not suffice: ask for more MEMORY"
        )
    return speeds


def _figures(path: Path, recipe: str) -> tuple[Mapping[tuple[str, int], float], str]:
    """By metric and cores. The start was measured with the default recipe and two cores: it stands for all."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise CannotEstimate(f"{path} does not read as measurements: run make bench and make figures") from error
    wanted = {("decode", f"{SYSTEM} {recipe}"), ("prefill", f"{SYSTEM} {recipe}"), ("startup", f"{SYSTEM} server")}
    found = [row for row in rows if (row["bench"], row["system"]) in wanted and row["value"] is not None]
    figures = {(row["metric"], row["threads"]): float(row["value"]) for row in found}
    metrics = ("decode", f"prefill {SHORT}", f"prefill {LONG}", "peak memory")
    if not {(metric, cores) for metric in metrics for cores in CORES} | {("ready", CORES[-1])} <= figures.keys():
        known = sorted(row["recipe"] for row in rows if row["bench"] == "decode" and row["system"].startswith(SYSTEM))
        raise CannotEstimate(f"{recipe!r} has not been measured: RECIPE is one of {', '.join(dict.fromkeys(known))}")
    row = found[0]
    return figures, f"{row['model']} {recipe} on {row['cpu']} ({', '.join(row['cpu_features'])}), {row['date'][:10]}"


def _at(cores: float, figures: Mapping[tuple[str, int], float], metric: str) -> float:
    one, two = (figures[metric, count] for count in CORES)
    if cores <= 1:
        return cores * one
    return one + (min(cores, 2.0) - 1) * (two - one)


def _basis(cores: float) -> str:
    if cores in CORES:
        return f"measured at {cores:.0f} core{'s' if cores > 1 else ''}"
    if cores < 1:
        return f"scaled: {cores:.2f} of the speed measured at 1 core"
    if cores < CORES[-1]:
        return f"scaled: {cores:.2f} cores, between the speeds measured at 1 and at 2"
    return f"taken from 2 cores, the most that was measured, for {cores:.2f}"
