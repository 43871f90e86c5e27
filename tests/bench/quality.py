"""Quality: every system scores the same text; perplexity, and mean KL divergence from our own fp32 graph."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handler.manifest import ModelManifest
from handler.tokenizer import HFTokenizer
from model_export.verify import TEXT
from tests.bench import weights
from tests.bench.command import CORES, Missing, Options, Record, run
from tests.bench.fleet import fleet
from tests.bench.names import OURS
from tests.bench.systems import System, systems

WINDOW = 512  # tokens: the text is scored in independent windows, as verification after export does
REFERENCE = System(name=f"{OURS} fp32", module="ours", weights="fp32", bits=32)

Logits = NDArray[np.float32]


def measure(options: Options, record: Record) -> None:
    """Perplexity and mean KL of each system, on the text that the exporter verifies with."""
    windows = _windows()[: 1 if options.quick else None]
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        truth, versions = _scores(REFERENCE, windows, Path(scratch))
        reference = [_log_softmax(logits) for logits in truth]
        for system in (REFERENCE, *systems(record.machine)):
            if not options.wants(system.name):
                continue
            try:
                if system is not REFERENCE:
                    truth, versions = _scores(system, windows, Path(scratch))
            except Missing as reason:
                for metric, unit in (("perplexity", ""), ("mean KL", "nats")):
                    record.missing(system.name, metric, unit, reason, recipe=system.recipe)
                continue
            perplexity, kl = compared(reference, [_log_softmax(logits) for logits in truth], windows)
            for metric, value, unit in (("perplexity", perplexity, ""), ("mean KL", kl, "nats")):
                record.samples(
                    system.name, metric, [value], unit, threads=CORES, recipe=system.recipe, versions=versions
                )


def compared(
    reference: Sequence[Logits], found: Sequence[Logits], windows: Sequence[Sequence[int]]
) -> tuple[float, float]:
    """(perplexity, mean KL) of each window's log-probabilities [tokens, vocab], the last of which predict nothing."""
    losses, divergences = [], []
    for expected, ours, window in zip(reference, found, windows, strict=True):
        losses.append(-ours[np.arange(len(window) - 1), window[1:]])
        divergences.append((np.exp(expected) * (expected - ours)).sum(axis=1)[:-1])
    return float(np.exp(np.concatenate(losses).mean())), max(0.0, float(np.concatenate(divergences).mean()))


def _scores(system: System, windows: Sequence[Sequence[int]], scratch: Path) -> tuple[list[Logits], dict[str, str]]:
    """The logits of each window."""
    with fleet([system], threads=CORES) as running:
        if system in running.failed:
            raise running.failed[system]
        logits = []
        for window in windows:
            path = scratch / "logits.npy"
            running.workers[system].ask("score", ids=list(window), file=str(path))
            logits.append(np.load(path))
        return logits, running.versions[system]


def _windows() -> list[list[int]]:
    directory = weights.prepared(REFERENCE.weights)
    tokenizer = HFTokenizer.from_file(directory / ModelManifest.read(directory).tokenizer_file)
    ids = tokenizer.encode(TEXT.read_text(), special=False)
    return [ids[start : start + WINDOW] for start in range(0, len(ids), WINDOW)]


def _log_softmax(logits: Logits) -> Logits:
    shifted = logits - logits.max(axis=1, keepdims=True)
    normal: Logits = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normal


if __name__ == "__main__":
    sys.exit(run("quality", measure))
