"""`python -m tests.emulated.probe DIRECTORY`: what `artefacts.py` wrote, on the processor at hand, real or not.

Prints one line of JSON. Needs only what `handler.ort` does: an emulated processor gets no tests' packages.
"""

import itertools
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from handler.engine.ports import Decoder
from handler.manifest import ModelManifest
from handler.ort.decoder import load_decoder
from handler.ort.session import open_session

CONTROL = "unprotected-int8"
_ROWS = (1, 2, 5, 64)  # kernels for one row, for a few, for whole tiles
# Widths of steps, in turns. Kernels take four rows at a time, and may have ways of their own with a rest or a lone row.
_FOURS = ([4], [8, 12, 40])
_OTHERS = ([1], [7, 13])


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one processor makes of the artefacts."""

    onnxruntime: str
    products: dict[str, float]
    """By linear: its largest error, as a share of the sum of the magnitudes that were added up."""
    mean_kl: dict[str, float]
    """By recipe: nats per position, KL(the native fp32 graph ‖ this)."""
    in_fours: dict[str, float]
    """By 8-bit recipe: the most that a logit depends on how the tokens were split into steps of multiples of four."""
    by_width: dict[str, float]
    """The same for steps of other widths."""


def main(directory: Path) -> None:
    products = {path.name: _largest_error(path) for path in sorted((directory / "linears").iterdir())}
    token_ids: list[int] = np.load(directory / "token_ids.npy").tolist()
    reference = np.load(directory / "logits.npy")
    mean_kl, in_fours, by_width = {}, {}, {}
    for path in sorted((directory / "decoders").iterdir()):
        decoder = load_decoder(path, ModelManifest.read(path), threads=1)
        whole = _logits(decoder, token_ids, [len(token_ids)])
        mean_kl[path.name] = _mean_kl(reference, whole)
        if not path.name.startswith("int8"):
            continue
        for differences, splits in ((in_fours, _FOURS), (by_width, _OTHERS)):
            split_logits = (_logits(decoder, token_ids, split) for split in splits)
            differences[path.name] = max(float(np.abs(found - whole).max()) for found in split_logits)
    print(json.dumps(asdict(Opinion(onnxruntime.__version__, products, mean_kl, in_fours, by_width))))


def _largest_error(directory: Path) -> float:
    """Against products in float64."""
    session = open_session(directory / "linear.onnx", threads=1)
    weight = np.load(directory / "weight.npy").astype(np.float64)
    x = np.load(directory.parents[1] / "x.npy")
    largest = 0.0
    for rows in _ROWS:
        few = x[:, :rows]
        found = session.run(["y"], {"x": few})[0]
        error = np.abs(found - few.astype(np.float64) @ weight.T) / (np.abs(few) @ np.abs(weight.T))
        largest = max(largest, float(error.max()))
    return largest


def _logits(decoder: Decoder, token_ids: list[int], split: list[int]) -> NDArray[np.float32]:
    """float32 [len(token_ids), vocab] of a fresh sequence, in steps of those widths, again and again."""
    session, found = decoder.open(), []
    for width in itertools.cycle(split):
        step = token_ids[session.length : session.length + width]
        if not step:
            break
        found.append(session.forward(step, len(step)).copy())
    return np.concatenate(found)


def _mean_kl(reference: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    p, q = (_log_softmax(logits.astype(np.float64)) for logits in (reference, found))
    return float((np.exp(p) * (p - q)).sum(axis=-1).mean())


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    normalised: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised


if __name__ == "__main__":
    main(Path(sys.argv[1]))
