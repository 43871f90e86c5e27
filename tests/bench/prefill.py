"""Prefill: prompts of 512 and of 2,000 tokens from an empty cache, each system's engine alone, in turns."""

import sys
from collections.abc import Callable

from tests.bench.command import Options, Record, run
from tests.bench.engines import Metric, compare
from tests.bench.worker import Worker

SHORT, LONG = 512, 2000  # tokens


def measure(options: Options, record: Record) -> None:
    """Prompt tokens per second, and the memory that it took at most.

    Systems in float32 are not asked for the long prompt, nor does it have a round to warm up: it takes minutes.
    """
    metrics = [
        Metric(name=f"prefill {SHORT}", unit="tokens/s", samples=_tokens_per_second(SHORT), rounds=3),
        Metric(
            name=f"prefill {LONG}", unit="tokens/s", samples=_tokens_per_second(LONG), rounds=2, warm_up=0, most_bits=8
        ),
        Metric(name="peak memory", unit="MB", samples=_peak, rounds=1, warm_up=0, most_bits=8),
    ]
    compare([metrics[0], metrics[2]] if options.quick else metrics, options, record)


def _tokens_per_second(tokens: int) -> Callable[[Worker], list[float]]:
    return lambda worker: [tokens / worker.ask("prefill", tokens=tokens)["seconds"]]


def _peak(worker: Worker) -> list[float]:
    return [worker.ask("memory")["peak_bytes"] / 1e6]


if __name__ == "__main__":
    sys.exit(run("prefill", measure))
