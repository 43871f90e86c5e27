"""`make soak`: thousands of mixed requests through the emulators, on the real model; nothing may leak or break.

Writes summary.json and soak.svg into artifacts/soak (--figure: and the one in docs). Exit status 1 where an answer was
not what it had to be, a fault was logged, the process died, or memory or descriptors grew.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tests.faults.stage import Place, Stage, opened
from tests.models import exported
from tests.soak.client import complaint
from tests.soak.mix import Asked, requests
from tests.soak.picture import picture
from tests.soak.places import PLACES, client, setup
from tests.soak.verdict import Flatness, Sample, flatness

ROOT = Path(__file__).parents[2]
FIGURE = ROOT / "docs" / "figures" / "soak.svg"
BATCH = 10  # requests between two samples, which are taken while nothing runs
SEED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one process went through."""

    place: Place
    seconds: float
    kinds: dict[str, int]
    complaints: tuple[str, ...]
    samples: tuple[Sample, ...] = field(repr=False)

    @property
    def flatness(self) -> Flatness:
        return flatness(self.samples)

    @property
    def is_well(self) -> bool:
        return not self.complaints and self.flatness.is_flat


def run(place: Place, count: int, at_once: int, model: Path, log: Path) -> Part:
    """`count` requests to one process, `at_once` at the same time."""
    kinds: Counter[str] = Counter()
    complaints: list[str] = []
    samples: list[Sample] = []
    began = time.monotonic()
    with opened(setup(place), model, log) as stage, client(stage) as http, ThreadPoolExecutor(at_once) as clients:
        pid = stage.pid()

        def ask(asked: Asked) -> str | None:
            wrong = complaint(http, asked)
            return wrong and f"{place}, {asked.kind}: {wrong}"

        for batch in batches(requests(SEED), count):
            complaints += filter(None, clients.map(ask, batch))
            kinds.update(asked.kind for asked in batch)
            samples.append(sample(stage, sum(kinds.values())))
        if stage.pid() != pid:
            complaints.append(f"{place}: the process died and was started again")
        complaints += [f"{place}: {line}" for line in stage.logged().splitlines() if '"stack"' in line]
    return Part(
        place=place,
        seconds=time.monotonic() - began,
        kinds=dict(kinds.most_common()),
        complaints=tuple(complaints),
        samples=tuple(samples),
    )


def batches(asked: Iterator[Asked], count: int) -> Iterator[list[Asked]]:
    while batch := [*islice(asked, min(BATCH, count))]:
        count -= len(batch)
        yield batch


def sample(stage: Stage, done: int) -> Sample:
    descriptors = len([*Path(f"/proc/{stage.pid()}/fd").iterdir()])
    return Sample(requests=done, resident=stage.resident(), descriptors=descriptors)


def summary(parts: list[Part]) -> dict[str, Any]:
    """What is kept: small enough to read."""
    return {
        "requests": sum(sum(part.kinds.values()) for part in parts),
        "seconds": round(sum(part.seconds for part in parts)),
        "well": all(part.is_well for part in parts),
        "parts": [
            {
                "place": part.place,
                "requests": sum(part.kinds.values()),
                "seconds": round(part.seconds),
                "growth": asdict(part.flatness),
                "last": asdict(part.samples[-1]),
                "complaints": part.complaints,
                "kinds": part.kinds,
            }
            for part in parts
        ],
    }


def main() -> int:
    cli = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    cli.add_argument("--requests", type=int, default=2000, help="in all (2000)")
    cli.add_argument("--figure", action="store_true", help="draw docs/figures/soak.svg anew")
    options = cli.parse_args()
    directory = ROOT / "artifacts" / "soak"
    directory.mkdir(parents=True, exist_ok=True)
    model = exported("default", "int8")
    parts = []
    for place, (share, at_once) in PLACES.items():
        part = run(place, round(share * options.requests), at_once, model, directory / f"{place}.log")
        print(
            f"{place}: {sum(part.kinds.values())} requests in {part.seconds:.0f} s, {len(part.complaints)} complaints,"
            f" {part.flatness.resident / 2**20:+.1f} MB and {part.flatness.descriptors:+d} descriptors after warm-up",
            flush=True,
        )
        parts.append(part)
    (directory / "summary.json").write_text(json.dumps(summary(parts), indent=1) + "\n")
    drawn = picture({part.place: part.samples for part in parts})
    (directory / "soak.svg").write_text(drawn)
    if options.figure:
        FIGURE.write_text(drawn)
    for part in parts:
        for wrong in part.complaints[:20]:
            print(wrong, file=sys.stderr)
    return 0 if all(part.is_well for part in parts) else 1


if __name__ == "__main__":
    sys.exit(main())
