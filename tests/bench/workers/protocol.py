"""What runs inside a system's process: reads commands as lines of JSON, measures, answers in lines of JSON.

Standard library and numpy only: each peer's own environment runs this file. The process is pinned before anything that
starts threads is imported. Commands: `load`, `prefill` and `decode` (seconds), `score` (logits to a file), `memory`.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

CONTEXT = 64  # tokens before the first decoded one that counts


class Engine(Protocol):
    """A loaded model. Each call begins with an empty KV cache."""

    def prefill(self, ids: Sequence[int]) -> float:
        """Seconds until the logits after `ids` are there."""
        ...

    def decode(self, ids: Sequence[int], count: int) -> list[float]:
        """Seconds of each of `count` steps of one token, after a prompt of `ids`, its own first step dropped."""
        ...

    def score(self, ids: Sequence[int]) -> Any:
        """float32 [len(ids), vocab]: the logits after each of them."""
        ...


# An engine, and the versions of what it consists of.
Loaded = tuple[Engine, dict[str, str]]


class Stepping:
    """An engine that is driven token by token."""

    def reset(self) -> None:
        """Empties the KV cache."""
        raise NotImplementedError

    def forward(self, ids: Sequence[int]) -> None:
        """Appends `ids`; comes back when the logits after the last of them can be read."""
        raise NotImplementedError

    def prefill(self, ids: Sequence[int]) -> float:
        self.reset()
        start = time.perf_counter()
        self.forward(ids)
        return time.perf_counter() - start

    def decode(self, ids: Sequence[int], count: int) -> list[float]:
        self.reset()
        self.forward(ids)
        seconds = []
        for token in random_ids(count + 1):
            start = time.perf_counter()
            self.forward([token])
            seconds.append(time.perf_counter() - start)
        return seconds[1:]


def random_ids(count: int) -> list[int]:
    """The same token ids for every system."""
    return random.Random(0).choices(range(1000, 40000), k=count)


def serve(load: Callable[[Path, int], Loaded]) -> None:
    """Answers commands until standard input ends. `load(model, threads)` imports what it needs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--cpus", required=True)
    parser.add_argument("--no-amx", action="store_true")
    options = parser.parse_args()
    cpus = [int(cpu) for cpu in options.cpus.split(",")]
    os.sched_setaffinity(0, cpus)
    if options.no_amx:
        from tests.bench.workers.amx import deny_amx

        deny_amx()
    # Whatever a library prints goes to standard error; the answers have the real standard output for themselves.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    engine: Engine | None = None
    for line in sys.stdin:
        request = json.loads(line)
        do = request["do"]
        if do == "load":
            start = time.perf_counter()
            engine, versions = load(options.model, len(cpus))
            answer: dict[str, Any] = {"seconds": time.perf_counter() - start, "versions": versions}
        elif do == "memory":
            answer = {"peak_bytes": _peak_bytes()}
        elif engine is None:
            answer = {"error": "nothing is loaded"}
        elif do == "prefill":
            answer = {"seconds": engine.prefill(random_ids(request["tokens"]))}
        elif do == "decode":
            answer = {"seconds": engine.decode(random_ids(CONTEXT), request["tokens"])}
        else:
            import numpy as np

            # float16 would round away a KL of 1e-4.
            np.save(request["file"], np.asarray(engine.score(request["ids"]), np.float32))
            answer = {}
        answers.write(json.dumps(answer) + "\n")


def _peak_bytes() -> int:
    """The largest resident size that this process has had, from the kernel."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
