"""A system without a model, for the tests: counts what it is asked, and fails or dies when told to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.workers.protocol import Loaded, Stepping, serve


def load(model: Path, threads: int) -> Loaded:
    if model.name == "damaged":
        raise RuntimeError("the file is damaged")

    class Echo(Stepping):
        def reset(self) -> None:
            self.length = 0

        def forward(self, ids: Sequence[int]) -> None:
            self.length += len(ids)

        def score(self, ids: Sequence[int]) -> Any:
            return [[float(token), threads] for token in ids]

    return Echo(), {"echo": "1"}


if __name__ == "__main__":
    serve(load)
