"""A system in a process of its own, pinned, loaded once, and asked over standard input and output."""

import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from tests.bench.command import Missing
from tests.bench.environments import last_words
from tests.bench.machine import ROOT, cpus

# What a system's threads may still spin after an answer: its neighbours do not pay for it.
_SETTLE_SECONDS = 0.05
# The longest answer, 2,000 tokens of prompt on one core, takes half a minute.
_PATIENCE_SECONDS = 300


class Worker:
    """A running process. `ask` raises Missing where the process fails or dies; `complaints` takes what it prints."""

    def __init__(
        self, python: Path, module: str, arguments: Sequence[str], *, threads: int, complaints: IO[str]
    ) -> None:
        places = ",".join(map(str, cpus(threads)))
        self._complaints = complaints
        self._process = subprocess.Popen(
            [str(python), "-m", module, *arguments, "--cpus", places],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        time.sleep(_SETTLE_SECONDS)
        line = ""
        impatience = threading.Timer(_PATIENCE_SECONDS, self._process.kill)
        impatience.start()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        impatience.cancel()
        if not line:
            status = self._process.wait()
            self._complaints.seek(0)
            raise Missing(f"{do} failed: {last_words(self._complaints.read(), status)}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
