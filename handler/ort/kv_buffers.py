"""KV buffers of a graph of the "shared" layout, bound as past and present of each layer: a step extends them in place.

A step allocates nothing: ids, positions and logits live in buffers that stay bound.
"""

import contextlib
import math
import mmap
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from handler import manifest
from handler.engine.ports import KVArrays
from handler.manifest import ModelManifest
from handler.ort.allocation import telling_of_memory

# For each past tensor of the graph, float32 [rows, heads, positions, width]: a row is a sequence.
KV = list[NDArray[np.float32]]

_FIRST_CAPACITY = 256  # positions; SmolLM2-135M: 12 MB
_LARGE = 2**20  # bytes: well below the 4 MB from which numpy asks for huge pages
_SPARE = 1  # position behind the capacity: graphs append a row of their own to each step, which nobody reads

_Number = TypeVar("_Number", np.int32, np.int64, np.float32)


def allocate(model: ModelManifest, rows: int, capacity: int) -> KV:
    """Buffers with nothing in them, and room for `capacity` positions. Raises MemoryError."""
    return [_empty(shape) for shape in _shapes(model, rows, capacity)]


def reallocate(kv: KV, length: int, model: ModelManifest, capacity: int) -> None:
    """Puts buffers [1, heads, capacity, width] in the place of one sequence's, its first `length` positions in them.

    One after the other, so that no more than one of them is there twice. Raises MemoryError; those that had not their
    turn are then as they were, and `capacity` tells their size.
    """
    for index, shape in enumerate(_shapes(model, 1, capacity)):
        buffer = _empty(shape)
        buffer[:, :, :length] = kv[index][:, :, :length]
        kv[index] = buffer


def _empty(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A buffer that takes memory where it is written, and gives all of it back. Raises MemoryError.

    A large one has pages of its own. numpy asks for huge ones, and with the first positions of each row they would all
    be there.
    """
    size = math.prod(shape) * np.dtype(np.float32).itemsize
    if size < _LARGE or not hasattr(mmap, "MADV_NOHUGEPAGE"):
        return np.empty(shape, np.float32)
    try:
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:
        raise MemoryError(f"{size} bytes of KV") from None
    with contextlib.suppress(OSError):  # of a kernel that knows no huge pages
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(pages, np.float32).reshape(shape)


def _shapes(model: ModelManifest, rows: int, capacity: int) -> list[tuple[int, ...]]:
    return [(rows, int(spec.shape[1]), capacity + _SPARE, int(spec.shape[3])) for spec in model.graph.past]


def capacity(kv: KV) -> int:
    """How many positions fit: into the last buffer, which is the last to grow."""
    return int(kv[-1].shape[2]) - _SPARE


def capacity_for(model: ModelManifest, needed: int) -> int:
    """Positions to allocate where `needed` have to fit: twice as many, and again, until they do."""
    enough = _FIRST_CAPACITY
    while enough < needed:
        enough *= 2
    return min(enough, model.context_window)


def copy(held: KVArrays, length: int, into: KV) -> None:
    """Copies the first `length` positions."""
    for source, target in zip(held, into, strict=True):
        target[:, :, :length] = source[:, :, :length]


def check_fits(model: ModelManifest, end: int) -> None:
    """Raises ValueError if a sequence of `end` positions would outgrow the window."""
    if end > model.context_window:
        raise ValueError(f"{end} positions do not fit the context window of {model.context_window}")


@dataclass(frozen=True, slots=True)
class StepBuffers:
    """The buffers of one shape of step."""

    ids: NDArray[np.int64]  # [sequences, step]
    rows: NDArray[np.int64]  # [rows]: the last positions of the step
    logits: NDArray[np.float32]  # [sequences, rows, vocab]

    @classmethod
    def allocate(cls, sequences: int, step: int, rows: int, vocab_size: int) -> "StepBuffers":
        last = np.arange(step - rows, step, dtype=np.int64)
        logits = np.zeros((sequences, rows, vocab_size), np.float32)
        return cls(np.zeros((sequences, step), np.int64), last, logits)

    def fits(self, step: int, rows: int) -> bool:
        return self.ids.shape[1] == step and len(self.rows) == rows


class BoundKV:
    """The graph with one set of KV buffers bound to it.

    `last_positions`, int32 [rows], is for the caller to fill: where each row's step ends.
    """

    def __init__(self, session: onnxruntime.InferenceSession, model: ModelManifest, kv: KV) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._kv = kv  # bound by address: it has to live as long
        self._step: StepBuffers | None = None
        self.last_positions = self._bind_input(manifest.SEQLENS_K, np.zeros(kv[0].shape[0], np.int32))
        self._total = self._bind_input(manifest.TOTAL_SEQUENCE_LENGTH, np.zeros((), np.int32))
        for spec, buffer in zip(model.graph.past, kv, strict=True):
            self._bind_input(spec.name, buffer)
            self._bind_output(spec.name.replace("past_key_values", "present"), buffer)

    def run(self, step: StepBuffers, longest: int) -> None:
        """Appends the step's ids and fills its logits; `longest`: the positions of the longest row after the step."""
        if step is not self._step:
            self._bind_input(manifest.INPUT_IDS, step.ids)
            self._bind_input(manifest.LOGITS_ROWS, step.rows)
            self._bind_output(manifest.LOGITS, step.logits)
            self._step = step
        self._total[()] = longest
        with telling_of_memory():
            self._session.run_with_iobinding(self._binding)

    def _bind_input(self, name: str, buffer: NDArray[_Number]) -> NDArray[_Number]:
        self._binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(buffer))
        return buffer

    def _bind_output(self, name: str, buffer: NDArray[np.float32]) -> None:
        self._binding.bind_ortvalue_output(name, onnxruntime.OrtValue.ortvalue_from_numpy(buffer))
