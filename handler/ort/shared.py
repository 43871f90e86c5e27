"""The decoder with shared KV buffers: past and present of each layer are one tensor, which each step extends in place.

A step allocates nothing: ids, positions and logits live in buffers that stay bound. The KV buffers start small and
double when they are full, so a short answer does not pay for the whole window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from handler import manifest
from handler.engine.ports import KVSession
from handler.manifest import ModelManifest

_FIRST_CAPACITY = 256  # positions; SmolLM2-135M: 12 MB
_PREFILL_CHUNK = 256  # tokens; half or twice as many are some per cent slower at 512 and at 2,000

_Number = TypeVar("_Number", np.int32, np.int64, np.float32)


class SharedKVDecoder:
    """A `handler.engine.ports.Decoder` on a graph of the "shared" layout."""

    def __init__(self, session: onnxruntime.InferenceSession, model: ModelManifest) -> None:
        self._session = session
        self._model = model

    @property
    def vocab_size(self) -> int:
        return self._model.vocab_size

    @property
    def context_window(self) -> int:
        return self._model.context_window

    @property
    def prefill_chunk(self) -> int:
        return _PREFILL_CHUNK

    def open(self) -> KVSession:
        return SharedKVSession(self._session, self._model)


class SharedKVSession:
    """One sequence. Its length is all there is to forget: what lies beyond is overwritten, never read."""

    def __init__(self, session: onnxruntime.InferenceSession, model: ModelManifest) -> None:
        self._session = session
        self._model = model
        self._length = 0
        self._capacity = 0
        self._kv: list[NDArray[np.float32]] = []
        self._binding = session.io_binding()
        self._last_position = self._bind_input(manifest.SEQLENS_K, np.zeros(1, np.int32))
        self._total = self._bind_input(manifest.TOTAL_SEQUENCE_LENGTH, np.zeros((), np.int32))
        self._one = _Step.allocate(1, 1, model.vocab_size)  # decoding comes back to this shape after every prefill
        self._step = self._one
        self._bind_step()

    @property
    def length(self) -> int:
        return self._length

    def forward(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
        """Appends `token_ids`; returns float32 [logits_rows, vocab_size], which the next call overwrites.

        Raises ValueError if the window is full or `logits_rows` is not between 1 and the number of tokens.
        """
        step = len(token_ids)
        end = self._length + step
        if not 1 <= logits_rows <= step:
            raise ValueError(f"logits_rows must be between 1 and the {step} tokens of the step, not {logits_rows}")
        if end > self._model.context_window:
            raise ValueError(f"{end} positions do not fit the context window of {self._model.context_window}")
        if end > self._capacity:
            self._grow(end)
        if not self._step.fits(step, logits_rows):
            fits = self._one.fits(step, logits_rows)
            self._step = self._one if fits else _Step.allocate(step, logits_rows, self._model.vocab_size)
            self._bind_step()
        self._step.ids[0] = token_ids
        self._last_position[0] = end - 1
        self._total[()] = end
        self._session.run_with_iobinding(self._binding)
        self._length = end
        return self._step.logits

    def truncate(self, length: int) -> None:
        """Forgets every position from `length` on. Raises ValueError if `length` exceeds the positions held."""
        if not 0 <= length <= self._length:
            raise ValueError(f"cannot truncate {self._length} positions to {length}")
        self._length = length

    def _grow(self, needed: int) -> None:
        capacity = max(self._capacity, _FIRST_CAPACITY)
        while capacity < needed:
            capacity *= 2
        self._capacity = min(capacity, self._model.context_window)
        specs = self._model.graph.past
        grown = []
        for index, spec in enumerate(specs):
            heads, width = int(spec.shape[1]), int(spec.shape[3])
            buffer = np.empty((1, heads, self._capacity, width), np.float32)
            if self._length:
                buffer[:, :, : self._length] = self._kv[index][:, :, : self._length]
            self._bind_input(spec.name, buffer)
            self._bind_output(spec.name.replace("past_key_values", "present"), buffer)
            grown.append(buffer)
        self._kv = grown

    def _bind_step(self) -> None:
        self._bind_input(manifest.INPUT_IDS, self._step.ids)
        self._bind_input(manifest.LOGITS_ROWS, self._step.rows)
        self._bind_output(manifest.LOGITS, self._step.logits[np.newaxis])

    def _bind_input(self, name: str, buffer: NDArray[_Number]) -> NDArray[_Number]:
        self._binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(buffer))
        return buffer

    def _bind_output(self, name: str, buffer: NDArray[np.float32]) -> None:
        self._binding.bind_ortvalue_output(name, onnxruntime.OrtValue.ortvalue_from_numpy(buffer))


@dataclass(frozen=True, slots=True)
class _Step:
    """The buffers of one shape of step."""

    ids: NDArray[np.int64]  # [1, step]
    rows: NDArray[np.int64]  # [rows]: the last positions of the step
    logits: NDArray[np.float32]  # [rows, vocab]

    @classmethod
    def allocate(cls, step: int, rows: int, vocab_size: int) -> "_Step":
        last = np.arange(step - rows, step, dtype=np.int64)
        return cls(np.zeros((1, step), np.int64), last, np.zeros((rows, vocab_size), np.float32))

    def fits(self, step: int, rows: int) -> bool:
        return self.ids.shape[1] == step and len(self.rows) == rows
