"""Decode: steps of one token at contexts of 64 to 160 tokens, each system's engine alone, in turns."""

import sys

from tests.bench.command import Options, Record, run
from tests.bench.engines import Metric, compare
from tests.bench.worker import Worker

TOKENS = 96


def measure(options: Options, record: Record) -> None:
    """Tokens per second while decoding, from the seconds of each step of each round."""
    tokens = 8 if options.quick else TOKENS

    def tokens_per_second(worker: Worker) -> list[float]:
        return [1 / seconds for seconds in worker.ask("decode", tokens=tokens)["seconds"]]

    compare([Metric(name="decode", unit="tokens/s", samples=tokens_per_second, rounds=3)], options, record)


if __name__ == "__main__":
    sys.exit(run("decode", measure))
