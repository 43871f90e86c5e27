"""One sequence over shared KV buffers, which start small and double when they are full: a short answer does not pay for
the whole window."""

from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from handler.engine.ports import KVArrays
from handler.engine.widths import exact_tokens
from handler.manifest import ModelManifest
from handler.ort import kv_buffers
from handler.ort.kv_buffers import KV, BoundKV, StepBuffers


class SharedKVSession:
    """One sequence. Its length is all there is to forget: what lies beyond is overwritten, never read.

    Its buffers are its own, or a row of the pool's: to a step of its own they are the same.
    """

    def __init__(self, session: onnxruntime.InferenceSession, model: ModelManifest) -> None:
        self.token_ids: list[int] = []
        self.exact_length = 0
        self.kv = kv_buffers.allocate(model, 1, 0)
        self.row = -1  # in the pool; -1: none
        self.idle = 0  # steps of the pool that it has sat out, one after the other
        self._session = session
        self._model = model
        self._bound: BoundKV | None = None
        # Decoding comes back to this shape after every prefill.
        self._one = StepBuffers.allocate(1, 1, 1, model.vocab_size)
        self._step = self._one

    @classmethod
    def restored(
        cls, session: onnxruntime.InferenceSession, model: ModelManifest, token_ids: Sequence[int], held: KVArrays
    ) -> "SharedKVSession":
        """A sequence of `token_ids`, whose KV is copied from `held`; there is room for another token."""
        restored = cls(session, model)
        restored.token_ids = list(token_ids)
        restored.exact_length = length = len(token_ids)
        restored.kv = kv_buffers.allocate(model, 1, kv_buffers.capacity_for(model, length + 1))
        kv_buffers.copy(held, length, restored.kv)
        return restored

    @property
    def length(self) -> int:
        return len(self.token_ids)

    @property
    def capacity(self) -> int:
        """Positions that fit its buffers."""
        return kv_buffers.capacity(self.kv)

    @property
    def nbytes(self) -> int:
        return sum(buffer.nbytes for buffer in self.kv)

    def forward(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
        """Appends `token_ids`; returns float32 [logits_rows, vocab_size], which the next call overwrites.

        Raises ValueError if the window is full or `logits_rows` is not between 1 and the number of tokens.
        """
        step = len(token_ids)
        if not 1 <= logits_rows <= step:
            raise ValueError(f"logits_rows must be between 1 and the {step} tokens of the step, not {logits_rows}")
        end = self.length + step
        kv_buffers.check_fits(self._model, end)
        if end > self.capacity:
            self.leave(end)
        if not self._step.fits(step, logits_rows):
            fits = self._one.fits(step, logits_rows)
            self._step = self._one if fits else StepBuffers.allocate(1, step, logits_rows, self._model.vocab_size)
        if self._bound is None:
            self._bound = BoundKV(self._session, self._model, self.kv)
        self._step.ids[0] = token_ids
        self._bound.last_positions[0] = end - 1
        self._bound.run(self._step, end)
        self.append(self._step.ids[0].tolist())
        rows: NDArray[np.float32] = self._step.logits[0]
        return rows

    def truncate(self, length: int) -> None:
        """Forgets every position from `length` on. Raises ValueError if `length` exceeds the positions held."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} positions to {length}")
        del self.token_ids[length:]
        self.exact_length = min(self.exact_length, length)

    def append(self, token_ids: Sequence[int], *, shared: bool = False) -> None:
        """These have been run in one step, perhaps one that other sequences shared."""
        if self.exact_length == self.length and (self._model.graph.company_free or not shared):
            width = len(token_ids)
            self.exact_length += width if self._model.graph.width_free else exact_tokens(width)
        self.token_ids += token_ids

    def held(self, length: int) -> KVArrays:
        return [buffer[:, :, :length] for buffer in self.kv]

    def rest(self) -> None:
        if self.row >= 0:
            self.leave(self.length)

    def fork(self, count: int) -> "list[SharedKVSession]":
        forks = [SharedKVSession(self._session, self._model) for _ in range(count)]
        for fork in forks:
            fork.kv = kv_buffers.allocate(self._model, 1, self.capacity)
            kv_buffers.copy(self.kv, self.length, fork.kv)
            fork.token_ids, fork.exact_length = self.token_ids.copy(), self.exact_length
        return forks

    def leave(self, needed: int) -> None:
        """Moves into buffers of its own, in which `needed` positions fit."""
        capacity = kv_buffers.capacity_for(self._model, needed)
        if self.row >= 0:
            self.move(kv_buffers.allocate(self._model, 1, capacity), -1)
        else:
            self._bound = None  # it would keep the old ones
            kv_buffers.reallocate(self.kv, self.length, self._model, capacity)

    def move(self, kv: KV, row: int) -> None:
        """Goes on in `kv`, which is that row of the pool, or none of them (-1)."""
        kv_buffers.copy(self.kv, self.length, kv)
        self.kv, self.row, self.idle = kv, row, 0
        self._bound = None
