"""An encoder's graph behind the engine's port."""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from handler.errors import ArtifactError
from handler.manifest import ATTENTION_MASK, INPUT_IDS, LAST_HIDDEN_STATE, POSITION_IDS, TYPE_IDS, ModelManifest
from handler.ort.session import open_session

_FED = frozenset({INPUT_IDS, ATTENTION_MASK, TYPE_IDS, POSITION_IDS})


class OrtEncoder:
    """A `handler.engine.embedding.Encoder`."""

    def __init__(self, session: onnxruntime.InferenceSession, manifest: ModelManifest) -> None:
        """Raises ArtifactError if the graph takes what nobody feeds."""
        self._session = session
        self._manifest = manifest
        self._inputs = [spec.name for spec in manifest.graph.inputs]
        unknown = [name for name in self._inputs if name not in _FED]
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

    def encode(self, token_ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        feeds = {
            INPUT_IDS: token_ids,
            ATTENTION_MASK: mask,
            TYPE_IDS: np.zeros_like(token_ids),
            POSITION_IDS: np.broadcast_to(np.arange(token_ids.shape[1], dtype=np.int64), token_ids.shape),
        }
        hidden: NDArray[np.float32]
        (hidden,) = self._session.run([LAST_HIDDEN_STATE], {name: feeds[name] for name in self._inputs})
        return hidden


def load_encoder(directory: Path, manifest: ModelManifest, *, threads: int) -> OrtEncoder:
    """The encoder of the model in `directory`; `threads` per step, 0 for one per CPU.

    Raises ArtifactError naming the file if the graph or its weights are missing or damaged, and for a decoder.
    """
    if manifest.graph.kv_layout != "none":
        raise ArtifactError(f"{directory} holds a chat model and no embedding model: name it in LLM_MODEL")
    # Its threads do not spin: the chat model's turn comes next, and needs the CPUs.
    return OrtEncoder(open_session(directory / manifest.graph.file, threads=threads, spinning=False), manifest)
