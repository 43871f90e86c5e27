"""Systems that are loaded at once, each in its process, and closed together."""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.bench import weights
from tests.bench.command import Missing
from tests.bench.environments import python
from tests.bench.systems import System
from tests.bench.worker import Worker


@dataclass(frozen=True, slots=True)
class Fleet:
    """Each system that runs, with its process and the versions that it names; and why the others do not."""

    workers: dict[System, Worker] = field(default_factory=dict)
    versions: dict[System, dict[str, str]] = field(default_factory=dict)
    failed: dict[System, Missing] = field(default_factory=dict)


@contextmanager
def fleet(wanted: Iterable[System], *, threads: int) -> Iterator[Fleet]:
    """`wanted`, loaded one after the other."""
    running = Fleet()
    with contextlib.ExitStack() as stack:
        for system in wanted:
            try:
                interpreter, path = python(system.environment), weights.prepared(system.weights)
                arguments = [str(path), *([] if system.amx else ["--no-amx"])]
                complaints = stack.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
                module = f"tests.bench.workers.{system.module}"
                worker = Worker(interpreter, module, arguments, threads=threads, complaints=complaints)
                stack.callback(worker.close)
                running.versions[system] = worker.ask("load")["versions"]
                running.workers[system] = worker
            except Missing as reason:
                running.failed[system] = reason
        yield running
