"""Streams side by side: all their tokens per second together, and one stream's, with batching on and off."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.bench.client import Answer, chat
from tests.bench.command import Options, Record, run
from tests.bench.names import BATCHING
from tests.bench.requests import STORIES
from tests.bench.servers import UNCACHED, Server, serving
from tests.bench.variants import compare

VARIANTS = dict(zip(BATCHING, ({}, {"LLM_BATCHING": "off"}), strict=True))
STREAMS = (1, 2, 4, 8)
_TOKENS = 64
_FIGURES: Mapping[tuple[str, str], Callable[[tuple[list[Answer], float]], float]] = {
    ("together", "tokens/s"): lambda found: sum(answer.tokens for answer in found[0]) / found[1],
    ("each", "tokens/s"): lambda found: statistics.median(answer.decoded_per_second for answer in found[0]),
}


def measure(options: Options, record: Record) -> None:
    """Sampled answers to different prompts, all begun at once."""
    with serving({name: {**UNCACHED, **settings} for name, settings in VARIANTS.items()}) as (
        servers,
        failed,
    ):
        for streams in STREAMS[:2] if options.quick else STREAMS:

            def ask(server: Server, streams: int = streams) -> tuple[list[Answer], float]:
                return side_by_side(server, streams)

            compare(servers, failed, ask, _FIGURES, options, record, rounds=3, at=streams)


def side_by_side(server: Server, streams: int) -> tuple[list[Answer], float]:
    """The answers, and the seconds until the last of them was complete."""

    def ask(index: int) -> Answer:
        fields = {"max_tokens": _TOKENS, "temperature": 1, "ignore_eos": True}
        return chat(server.port, STORIES[index % len(STORIES)], **fields)

    start = time.perf_counter()
    with ThreadPoolExecutor(streams) as clients:
        answers = list(clients.map(ask, range(streams)))
    return answers, time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(run("batching", measure))
