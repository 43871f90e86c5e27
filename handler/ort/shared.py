"""The decoder with shared KV buffers: past and present of each layer are one tensor, which each step extends in place.

Sequences that advance together live in the rows of common buffers (`pool.py`).
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from handler.engine.ports import KVArrays, KVSession
from handler.manifest import ModelManifest
from handler.ort.pool import KVPool
from handler.ort.sequence import SharedKVSession

_PREFILL_CHUNK = 256  # tokens; half or twice as many are some per cent slower at 512 and at 2,000


class SharedKVDecoder:
    """A `handler.engine.ports.Decoder` on a graph of the "shared" layout."""

    def __init__(self, session: onnxruntime.InferenceSession, model: ModelManifest) -> None:
        self._session = session
        self._model = model
        self._pool = KVPool(session, model)

    @property
    def vocab_size(self) -> int:
        return self._model.vocab_size

    @property
    def context_window(self) -> int:
        return self._model.context_window

    @property
    def prefill_chunk(self) -> int:
        return _PREFILL_CHUNK

    @property
    def company_free(self) -> bool:
        return self._model.graph.company_free

    def open(self) -> SharedKVSession:
        self._pool.tidy()
        return SharedKVSession(self._session, self._model)

    def restore(self, token_ids: Sequence[int], held: KVArrays) -> SharedKVSession:
        self._pool.tidy()
        return SharedKVSession.restored(self._session, self._model, token_ids, held)

    def advance(self, sessions: Sequence[KVSession], token_ids: Sequence[int]) -> NDArray[np.float32]:
        return self._pool.advance(cast("Sequence[SharedKVSession]", sessions), token_ids)

    @property
    def pool_nbytes(self) -> int:
        """Bytes of the KV buffers that sequences share, empty rows included."""
        return self._pool.nbytes
