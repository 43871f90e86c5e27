"""The decoder for graphs whose KV cache grows by concatenation: what optimum exports, for any architecture.

Past goes in, a longer present comes out, and is the past of the next step. The tensors stay on onnxruntime's side:
an output OrtValue is bound as the next input, never copied through Python.
"""

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from handler.engine.ports import KVArrays, KVSession
from handler.engine.widths import exact_tokens
from handler.errors import ArtifactError
from handler.manifest import ATTENTION_MASK, INPUT_IDS, LOGITS, POSITION_IDS, ModelManifest
from handler.ort.allocation import telling_of_memory
from handler.ort.kv_arrays import first_positions, position_axis, shape_of
from handler.ort.kv_buffers import check_fits

_PREFILL_CHUNK = 128  # the graph computes logits for every position: 25 MB of them for 128 positions of 49,152 tokens


class GrowingKVDecoder:
    """A `Decoder` over a graph of the "growing" layout. Thread-safe."""

    def __init__(self, session: ort.InferenceSession, manifest: ModelManifest) -> None:
        """Raises ArtifactError if the graph takes an input that this decoder does not know how to fill."""
        self._session = session
        self._manifest = manifest
        pasts = {spec.name: position_axis(spec) for spec in manifest.graph.past}
        known = {INPUT_IDS, ATTENTION_MASK, POSITION_IDS, *pasts}
        unknown = [spec.name for spec in manifest.graph.inputs if spec.name not in known]
        if unknown:
            raise ArtifactError(
                f"The graph takes {', '.join(unknown)}, which this server does not know: export the model again"
            )

    @property
    def vocab_size(self) -> int:
        return self._manifest.vocab_size

    @property
    def context_window(self) -> int:
        return self._manifest.context_window

    @property
    def company_free(self) -> bool:
        return False

    @property
    def prefill_chunk(self) -> int:
        return _PREFILL_CHUNK

    def open(self) -> "GrowingKVSession":
        return GrowingKVSession(_Sequences(self._session, self._manifest, 1))

    def restore(self, token_ids: Sequence[int], held: KVArrays) -> "GrowingKVSession":
        sequences = _Sequences(self._session, self._manifest, 1)
        sequences.hold(len(token_ids), held)
        restored = GrowingKVSession(sequences)
        restored.token_ids, restored.exact_length = list(token_ids), len(token_ids)
        return restored

    def advance(self, sessions: Sequence[KVSession], token_ids: Sequence[int]) -> NDArray[np.float32]:
        """As the port says. Only sequences of one length can share a forward call here, as do the choices of a request:
        they are joined, by a copy, when they first do. Each other one runs by itself."""
        own = cast("Sequence[GrowingKVSession]", sessions)
        for session in own:
            check_fits(self._manifest, session.length + 1)
        by_length: dict[int, list[int]] = {}
        for index, session in enumerate(own):
            by_length.setdefault(session.length, []).append(index)
        if len(by_length) == 1:
            return _advance(own, token_ids)
        logits = np.empty((len(own), self.vocab_size), np.float32)
        for indices in by_length.values():
            logits[indices] = _advance([own[index] for index in indices], [token_ids[index] for index in indices])
        return logits


class GrowingKVSession:
    """One sequence: a row of tensors that it may share with others of its length. Not thread-safe."""

    def __init__(self, sequences: "_Sequences", row: int = 0) -> None:
        self.sequences = sequences
        self.row = row
        self.token_ids: list[int] = []
        self.exact_length = 0

    @property
    def length(self) -> int:
        return self.sequences.length

    @property
    def nbytes(self) -> int:
        return self.sequences.nbytes // self.sequences.rows

    def forward(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
        step = len(token_ids)
        if not 1 <= logits_rows <= step:
            raise ValueError(f"{logits_rows} rows of logits asked of a step of {step} tokens")
        self.rest()
        ids = np.asarray([token_ids], np.int64)
        rows: NDArray[np.float32] = self.sequences.run(ids)[0, step - logits_rows :]
        if self.exact_length == len(self.token_ids):
            self.exact_length += exact_tokens(step)
        self.token_ids += ids[0].tolist()
        return rows

    def truncate(self, length: int) -> None:
        if not 0 <= length <= self.length:
            raise ValueError(f"a sequence of {self.length} tokens cannot be truncated to {length}")
        if length < self.length:
            self.sequences.hold(length, self.held(length))
            del self.token_ids[length:]
            self.exact_length = min(self.exact_length, length)

    def held(self, length: int) -> KVArrays:
        self.rest()
        return self.sequences.held(length)

    def fork(self, count: int) -> "list[GrowingKVSession]":
        forks = [GrowingKVSession(self.sequences.joined([self])) for _ in range(count)]
        for fork in forks:
            fork.token_ids, fork.exact_length = self.token_ids.copy(), self.exact_length
        return forks

    def rest(self) -> None:
        """Others may share the tensors: it leaves them a row that nobody reads any more."""
        if self.sequences.rows > 1:
            self.sequences, self.row = self.sequences.joined([self]), 0


def _advance(sessions: "Sequence[GrowingKVSession]", token_ids: Sequence[int]) -> NDArray[np.float32]:
    """One forward call for sequences of one length."""
    sequences = sessions[0].sequences
    if [(session.sequences, session.row) for session in sessions] != [
        (sequences, row) for row in range(sequences.rows)
    ]:
        sequences = sequences.joined(sessions)
        for row, session in enumerate(sessions):
            session.sequences, session.row = sequences, row
    logits: NDArray[np.float32] = sequences.run(np.asarray(token_ids, np.int64)[:, np.newaxis])[:, 0]
    for session, token_id in zip(sessions, token_ids, strict=True):
        session.token_ids.append(token_id)
    return logits


class _Sequences:
    """The KV tensors of `rows` sequences of one length, and the binding that passes them on."""

    def __init__(self, session: ort.InferenceSession, manifest: ModelManifest, rows: int) -> None:
        self.length = 0
        self.rows = rows
        self._session = session
        self._manifest = manifest
        self._binding = session.io_binding()
        self._inputs = {spec.name for spec in manifest.graph.inputs}
        self.pasts = {
            spec.name: ort.OrtValue.ortvalue_from_numpy(np.zeros(shape_of(spec, rows, 0), dtype=spec.dtype))
            for spec in manifest.graph.past
        }
        self._logits = np.empty((rows, 0, manifest.vocab_size), dtype=np.float32)

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Appends `ids` [rows, step]; returns float32 [rows, step, vocab_size], which the next call overwrites."""
        rows, step = ids.shape
        total = self.length + step
        check_fits(self._manifest, total)
        positions = np.arange(self.length, total, dtype=np.int64)
        feeds = {
            INPUT_IDS: ids,
            ATTENTION_MASK: np.ones((rows, total), dtype=np.int64),
            POSITION_IDS: np.ascontiguousarray(np.broadcast_to(positions, ids.shape)),
        }
        for name, array in feeds.items():
            if name in self._inputs:
                self._binding.bind_cpu_input(name, array)
        for name, past in self.pasts.items():
            self._binding.bind_ortvalue_input(name, past)
        if self._logits.shape[:2] != ids.shape:
            self._logits = np.empty((rows, step, self._manifest.vocab_size), dtype=np.float32)
        self._binding.bind_output(LOGITS, "cpu", 0, np.float32, self._logits.shape, self._logits.ctypes.data)
        for name in self.pasts:
            self._binding.bind_output(name.replace("past_key_values", "present"), "cpu")
        with telling_of_memory():
            self._session.run_with_iobinding(self._binding)
        # The binding lists its outputs in the order in which they were bound: the logits first.
        self.pasts = dict(zip(self.pasts, self._binding.get_outputs()[1:], strict=True))
        self.length = total
        return self._logits

    @property
    def nbytes(self) -> int:
        specs = self._manifest.graph.past
        return sum(np.dtype(spec.dtype).itemsize * math.prod(self.pasts[spec.name].shape()) for spec in specs)

    def held(self, length: int) -> KVArrays:
        """What there is of the first `length` positions."""
        graph = self._manifest.graph
        return first_positions(graph, [self.pasts[spec.name].numpy() for spec in graph.past], length)

    def hold(self, length: int, held: KVArrays) -> None:
        """Copies `held`, which has `length` positions: they are all that there is now."""
        self.length = length
        self.pasts = {
            spec.name: ort.OrtValue.ortvalue_from_numpy(np.array(array, order="C"))
            for spec, array in zip(self._manifest.graph.past, held, strict=True)
        }

    def joined(self, sessions: "Sequence[GrowingKVSession]") -> "_Sequences":
        """Copies of what `sessions` hold, which are as long as these: a row for each, in this order."""
        joined = _Sequences(self._session, self._manifest, len(sessions))
        joined.length = self.length
        for name in self.pasts:
            rows = [session.sequences.pasts[name].numpy()[session.row] for session in sessions]
            joined.pasts[name] = ort.OrtValue.ortvalue_from_numpy(np.stack(rows))
        return joined
