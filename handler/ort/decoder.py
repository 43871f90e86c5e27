"""Loads the decoder of a model directory, whichever KV layout its graph has."""

from collections.abc import Callable, Mapping
from pathlib import Path

import onnxruntime

from handler.engine.ports import Decoder
from handler.errors import ArtifactError
from handler.manifest import ModelManifest
from handler.ort.graph_choice import GraphChoice, choose_graph
from handler.ort.growing import GrowingKVDecoder
from handler.ort.kernels import library
from handler.ort.session import open_session
from handler.ort.shared import SharedKVDecoder

_DECODERS: Mapping[str, Callable[[onnxruntime.InferenceSession, ModelManifest], Decoder]] = {
    "shared": SharedKVDecoder,
    "growing": GrowingKVDecoder,
}


def load_decoder(
    directory: Path, manifest: ModelManifest, *, threads: int, choice: GraphChoice | None = None
) -> Decoder:
    """The decoder of the model in `directory`; `threads` per step, 0 for one per CPU. `choice`: one of its graphs;
    None: the one for this processor.

    Raises ArtifactError naming the file if the graph or its weights are missing or damaged, and for an encoder.
    """
    layout = _DECODERS.get(manifest.graph.kv_layout)
    if layout is None:
        raise ArtifactError(f"{directory} holds an embedding model: name it in LLM_EMBEDDING_MODEL, not in LLM_MODEL")
    choice = choice or chosen_graph(manifest)
    session = open_session(directory / choice.graph.file, threads=threads, library=choice.library)
    return layout(session, manifest.model_copy(update={"graph": choice.graph}))


def chosen_graph(manifest: ModelManifest) -> GraphChoice:
    """The graph for this processor."""
    return choose_graph(manifest.graph, library())
