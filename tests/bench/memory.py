"""The limit: how fast this machine reads memory, and how much of it each system needs at its peak."""

import sys
import threading
import time

import numpy as np

from tests.bench.command import Options, Record, run
from tests.bench.fleet import fleet
from tests.bench.machine import cpus
from tests.bench.prefill import LONG
from tests.bench.systems import systems

_BYTES = 160_000_000  # many times any cache
_PASSES = 5


def measure(options: Options, record: Record) -> None:
    """Bytes read per second by one and two threads, and each system's peak after a long prompt and an answer."""
    for threads in (1, 2):
        speeds = [read_speed(len(cpus(threads))) for _ in range(options.rounds(9) + 1)]
        record.samples("memory", "read", speeds[1:], "GB/s", threads=threads)
    for system in systems(record.machine):
        if system.bits > 8:
            continue
        with fleet([system], threads=2) as running:
            if system in running.failed:
                record.missing(system.name, "peak memory", "MB", running.failed[system], recipe=system.recipe)
                continue
            worker = running.workers[system]
            worker.ask("prefill", tokens=512 if options.quick else LONG)
            worker.ask("decode", tokens=8)
            peak = worker.ask("memory")["peak_bytes"] / 1e6
            record.samples(
                system.name, "peak memory", [peak], "MB", recipe=system.recipe, versions=running.versions[system]
            )


def read_speed(threads: int) -> float:
    """GB/s of sequential reading, each thread through an array of its own."""
    arrays = [np.ones(_BYTES // 4, np.float32) for _ in range(threads)]

    def read(array: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> None:
        for _ in range(_PASSES):
            array.max()

    readers = [threading.Thread(target=read, args=(array,)) for array in arrays]
    start = time.perf_counter()
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return threads * _PASSES * _BYTES / (time.perf_counter() - start) / 1e9


if __name__ == "__main__":
    sys.exit(run("memory", measure))
