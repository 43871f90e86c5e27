"""Memory: how fast this machine reads it, which is what limits decode, and how much of it the server needs."""

import math
import sys
import threading
import time

import numpy as np

from handler.manifest import ModelManifest
from tests.bench import weights
from tests.bench.client import chat
from tests.bench.command import Options, Record, run
from tests.bench.names import ENGINE, SERVER
from tests.bench.prefill import LONG, SHORT
from tests.bench.requests import TO_THE_END, passage
from tests.bench.servers import RECIPE, UNCACHED, serving

_BYTES = 160_000_000  # many times any cache
_PASSES = 5


def measure(options: Options, record: Record) -> None:
    """Bytes read per second by one and two threads, and the server's peak after a long prompt and an answer."""
    for threads in (1, 2):
        speeds = [read_speed(threads) for _ in range(options.rounds(9) + 1)]
        record.samples("memory", "read", speeds[1:], "GB/s", threads=threads)
    _server(SHORT if options.quick else LONG, record)


def _server(tokens: int, record: Record) -> None:
    """The whole process, and what it cannot do without: the weights, and KV for as many tokens as there were."""
    directory = weights.prepared(RECIPE)
    weight_bytes = sum(path.stat().st_size for path in directory.glob("*.onnx*"))
    kv_bytes = position_bytes(ModelManifest.read(directory))
    record.samples(ENGINE, "weights", [weight_bytes / 1e6], "MB", recipe=RECIPE)
    record.samples(ENGINE, "KV of a position", [kv_bytes / 1e3], "kB", recipe=RECIPE)
    with serving({SERVER: UNCACHED}) as (servers, failed):
        for reason in failed.values():
            record.missing(SERVER, "peak memory", "MB", reason, recipe=RECIPE)
        for server in servers:
            answer = chat(server.port, passage(tokens), max_tokens=8, **TO_THE_END)
            needed = weight_bytes + kv_bytes * (answer.prompt_tokens + answer.tokens)
            record.samples(SERVER, "peak memory", [server.peak_bytes() / 1e6], "MB", recipe=RECIPE)
            record.samples(SERVER, "weights and KV", [needed / 1e6], "MB", recipe=RECIPE)


def position_bytes(manifest: ModelManifest) -> int:
    """What the KV cache holds of one token."""
    sizes = (math.prod(size for size in spec.shape if isinstance(size, int)) for spec in manifest.graph.past)
    widths = (np.dtype(spec.dtype).itemsize for spec in manifest.graph.past)
    return sum(size * width for size, width in zip(sizes, widths, strict=True))


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
