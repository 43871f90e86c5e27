"""From measurements to pictures and tables: `python -m tests.bench.report`.

It reads artifacts/bench/*.jsonl and writes artifacts/bench/report.md with its pictures. With `--readme` it writes
docs/figures/ instead, the measurements beside the pictures, and the README's section between its markers.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench.figures import PICTURES
from tests.bench.machine import ROOT
from tests.bench.measurement import Measurement, read
from tests.bench.names import NO_AMX
from tests.bench.picture import number
from tests.bench.results import Results
from tests.bench.targets import targets

MEASURED = ROOT / "artifacts" / "bench"
FIGURES = ROOT / "docs" / "figures"
RESULTS = "results.jsonl"

_METHOD = (
    "Medians. Each system runs in a process of its own, pinned to the same cores; they are asked in turns, one at "
    "a time, after a round that is dropped. llama.cpp runs without AMX: its AMX path crashes on some machines. "
    "The checkpoint's weights had 4 bits before anyone quantized them: Q4_1 is that file as it is shipped, all "
    "else begins from it in float32, so the other 4-bit systems are quantized twice. Perplexity and KL are of the "
    "exporter's evaluation text; KL is from our own fp32 graph. Nine in ten samples, and how many there were, are "
    "in"
    f" [{RESULTS}](docs/figures/{RESULTS})."
)
_VERDICTS = {True: "yes", False: "**no**", None: "not measured"}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def section(results: Results, pictures: str) -> str:
    """The README's section: what was measured on what, the targets, the pictures (in the directory `pictures`)."""
    if not results.measurements:
        return "Nothing has been measured yet: `make bench`."
    return "\n\n".join(
        [
            _measured_on(results.measurements),
            table(
                ("target", "wanted", "measured", "met?"),
                [(row.what, row.wanted, row.measured, _VERDICTS[row.met]) for row in targets(results)],
            ),
            *(f"![{PICTURES[name][0]}]({pictures}{name}.svg)" for name in drawn(results)),
            _table_of_engines(results),
            _missing(results),
        ]
    ).strip()


def drawn(results: Results) -> dict[str, str]:
    """The pictures that show anything, by name: those of what was not measured are left out."""
    nothing = Results(())
    return {name: svg for name, (_, draw) in PICTURES.items() if (svg := draw(results)) != draw(nothing)}


def _measured_on(measurements: Sequence[Measurement]) -> str:
    def each(values: Sequence[str]) -> str:
        return ", ".join(sorted(set(values)))

    versions = {f"{name} {version}" for found in measurements for name, version in found.versions.items()}
    features = {feature for found in measurements for feature in found.cpu_features}
    machine = f"{each([found.cpu for found in measurements])} ({', '.join(sorted(features))})"
    commits, dates = (
        each([f"`{found.commit}`" for found in measurements]),
        each([found.date[:10] for found in measurements]),
    )
    return (
        f"Measured with `make bench` on {machine}; {each([found.model for found in measurements])}, commit {commits},"
        f" {dates}; T1 and T2 are one core and two. {', '.join(sorted(versions))}.\n\n{_METHOD}"
    )


def _table_of_engines(results: Results) -> str:
    systems = dict.fromkeys([*results.systems("decode", "decode"), *results.systems("quality", "mean KL")])
    speeds = (("decode", "decode"), ("prefill", "prefill 512"), ("prefill", "prefill 2000"))
    rows = [
        [
            system,
            *(
                " / ".join(_cell(results.value(bench, system, metric, threads=threads)) for threads in (1, 2))
                for bench, metric in speeds
            ),
            _cell(results.value("quality", system.removesuffix(NO_AMX), "perplexity")),
            _kl(results.value("quality", system.removesuffix(NO_AMX), "mean KL")),
            _cell(results.value("prefill", system, "peak memory")),
        ]
        for system in systems
    ]
    head = ("system", "decode T1 / T2", "prefill 512", "prefill 2,000", "perplexity", "mean KL", "peak MB")
    return table(head, rows)


def _missing(results: Results) -> str:
    """A line for each system that has no figure, with the reason."""
    lines = [f"- {system}: {reason}" for system, reason in results.missing().items()]
    return "\n".join(["Missing:", "", *lines]) if lines else ""


def _cell(value: float | None) -> str:
    return "–" if value is None else number(value)


def _kl(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def committed() -> str:
    """The README's section, from the measurements that stand in the repository."""
    path = FIGURES / RESULTS
    return section(Results(tuple(read([path] if path.exists() else []))), "docs/figures/")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.report", description=__doc__)
    parser.add_argument("--readme", action="store_true", help="into docs/figures and the README")
    options = parser.parse_args()
    paths = sorted(MEASURED.glob("*.jsonl"))
    if not paths:
        print("Nothing has been measured: make bench", file=sys.stderr)
        return 1
    measurements = read(paths)
    results = Results(tuple(measurements))
    directory: Path = FIGURES if options.readme else MEASURED
    directory.mkdir(parents=True, exist_ok=True)
    for name, svg in drawn(results).items():
        (directory / f"{name}.svg").write_text(svg)
    if options.readme:
        from docs.tables import README, rendered

        (directory / RESULTS).write_text("".join(found.line() + "\n" for found in measurements))
        README.write_text(rendered(README.read_text()))
        print(f"Wrote {directory.relative_to(ROOT)} and the README")
    else:
        (directory / "report.md").write_text(section(results, "") + "\n")
        print(f"Wrote {(directory / 'report.md').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
