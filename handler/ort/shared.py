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
        return SharedKVSession(_Buffers(self._session, self._model, 1))

    def advance(self, sessions: Sequence[KVSession], token_ids: Sequence[int]) -> NDArray[np.float32]:
        for session in sessions:
            if session.length == self.context_window:
                raise ValueError(
                    f"{session.length + 1} positions do not fit the context window of {self.context_window}"
                )
        pairs = zip(sessions, token_ids, strict=True)
        return np.concatenate([session.forward([token_id]) for session, token_id in pairs])


class SharedKVSession:
    """One sequence. Its length is all there is to forget: what lies beyond is overwritten, never read."""

    def __init__(self, buffers: "_Buffers") -> None:
        self._buffers = buffers
        self._one = buffers.step(1, 1)  # decoding comes back to this shape after every prefill
        self._step = self._one

    @property
    def length(self) -> int:
        return self._buffers.length

    def forward(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
        """Appends `token_ids`; returns float32 [logits_rows, vocab_size], which the next call overwrites.

        Raises ValueError if the window is full or `logits_rows` is not between 1 and the number of tokens.
        """
        step = len(token_ids)
        if not 1 <= logits_rows <= step:
            raise ValueError(f"logits_rows must be between 1 and the {step} tokens of the step, not {logits_rows}")
        if not self._step.fits(step, logits_rows):
            fits = self._one.fits(step, logits_rows)
            self._step = self._one if fits else self._buffers.step(step, logits_rows)
        self._step.ids[0] = token_ids
        self._buffers.run(self._step)
        rows: NDArray[np.float32] = self._step.logits[0]
        return rows

    def truncate(self, length: int) -> None:
        """Forgets every position from `length` on. Raises ValueError if `length` exceeds the positions held."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} positions to {length}")
        self._buffers.length = length

    @property
    def nbytes(self) -> int:
        return self._buffers.nbytes

    def fork(self, count: int) -> "list[SharedKVSession]":
        return [SharedKVSession(self._buffers.copies(1)) for _ in range(count)]


class _Buffers:
    """The KV buffers of `rows` sequences of one length, bound to the graph."""

    def __init__(self, session: onnxruntime.InferenceSession, model: ModelManifest, rows: int) -> None:
        self.length = 0
        self._session = session
        self._model = model
        self._capacity = 0
        self._kv: list[NDArray[np.float32]] = []  # each [rows, heads, capacity, width]
        self._binding = session.io_binding()
        self._bound: _Step | None = None
        self._set_rows(rows)

    @property
    def nbytes(self) -> int:
        """Bytes of the KV buffers."""
        return sum(buffer.nbytes for buffer in self._kv)

    def step(self, length: int, logits_rows: int) -> "_Step":
        """New buffers for steps of `length` tokens."""
        return _Step.allocate(self._rows, length, logits_rows, self._model.vocab_size)

    def run(self, step: "_Step") -> None:
        """Appends the step's ids and fills its logits. Raises ValueError if the window is full."""
        end = self.length + step.ids.shape[1]
        if end > self._model.context_window:
            raise ValueError(f"{end} positions do not fit the context window of {self._model.context_window}")
        if end > self._capacity:
            self._grow(end)
        if step is not self._bound:
            self._bind_input(manifest.INPUT_IDS, step.ids)
            self._bind_input(manifest.LOGITS_ROWS, step.rows)
            self._bind_output(manifest.LOGITS, step.logits)
            self._bound = step
        self._last_position.fill(end - 1)
        self._total[()] = end
        self._session.run_with_iobinding(self._binding)
        self.length = end

    def copies(self, count: int) -> "_Buffers":
        """`count` sequences that each hold what this one does."""
        copies = _Buffers(self._session, self._model, count)
        copies.length = self.length
        copies._replace_kv(self._capacity, self._kv)
        return copies

    def _set_rows(self, rows: int) -> None:
        self._rows = rows
        self._last_position = self._bind_input(manifest.SEQLENS_K, np.zeros(rows, np.int32))
        self._total = self._bind_input(manifest.TOTAL_SEQUENCE_LENGTH, np.zeros((), np.int32))

    def _grow(self, needed: int) -> None:
        capacity = max(self._capacity, _FIRST_CAPACITY)
        while capacity < needed:
            capacity *= 2
        self._replace_kv(min(capacity, self._model.context_window), self._kv)

    def _replace_kv(self, capacity: int, held: Sequence[NDArray[np.float32]]) -> None:
        """New buffers of that capacity with what `held` holds, which is that of every row where it has only one."""
        self._capacity = capacity
        grown = []
        for index, spec in enumerate(self._model.graph.past):
            heads, width = int(spec.shape[1]), int(spec.shape[3])
            buffer = np.empty((self._rows, heads, capacity, width), np.float32)
            if self.length:
                buffer[:, :, : self.length] = held[index][:, :, : self.length]
            grown.append(buffer)
        self._kv = grown
        self._bind_kv()

    def _bind_kv(self) -> None:
        for spec, buffer in zip(self._model.graph.past, self._kv, strict=True):
            self._bind_input(spec.name, buffer)
            self._bind_output(spec.name.replace("past_key_values", "present"), buffer)

    def _bind_input(self, name: str, buffer: NDArray[_Number]) -> NDArray[_Number]:
        self._binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(buffer))
        return buffer

    def _bind_output(self, name: str, buffer: NDArray[np.float32]) -> None:
        self._binding.bind_ortvalue_output(name, onnxruntime.OrtValue.ortvalue_from_numpy(buffer))


@dataclass(frozen=True, slots=True)
class _Step:
    """The buffers of one shape of step."""

    ids: NDArray[np.int64]  # [sequences, step]
    rows: NDArray[np.int64]  # [rows]: the last positions of the step
    logits: NDArray[np.float32]  # [sequences, rows, vocab]

    @classmethod
    def allocate(cls, sequences: int, step: int, rows: int, vocab_size: int) -> "_Step":
        last = np.arange(step - rows, step, dtype=np.int64)
        logits = np.zeros((sequences, rows, vocab_size), np.float32)
        return cls(np.zeros((sequences, step), np.int64), last, logits)

    def fits(self, step: int, rows: int) -> bool:
        return self.ids.shape[1] == step and len(self.rows) == rows
