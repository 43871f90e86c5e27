"""A prefix that was run at export: its tokens and their KV in one file, which is mapped and not read.

The file holds the token ids, int32 [tokens], and then the KV of each of the graph's past inputs, in the graph's order,
its dtype and C order. Its shape is the input's, for one sequence of as many positions as there are tokens.
"""

import math
from pathlib import Path

import numpy as np

from handler.engine.ports import KVArrays, KVSession
from handler.errors import ArtifactError
from handler.manifest import Graph, ModelManifest
from handler.ort.kv_arrays import first_positions, shape_of

_TOKEN = np.dtype(np.int32)


class BakedPrefix:
    """A `KVSource` over a mapped file: only what a request shares is read. Thread-safe."""

    def __init__(self, graph: Graph, token_ids: tuple[int, ...], kv: KVArrays) -> None:
        self._graph = graph
        self._kv = kv
        self.token_ids = token_ids

    def held(self, length: int) -> KVArrays:
        return first_positions(self._graph, self._kv, length)


def write_prefix(path: Path, session: KVSession) -> None:
    """Writes what the session holds."""
    with path.open("wb") as file:
        file.write(np.array(session.token_ids, _TOKEN).tobytes())
        for array in session.held(session.length):
            file.write(np.ascontiguousarray(array).tobytes())


def load_prefix(directory: Path, manifest: ModelManifest) -> BakedPrefix | None:
    """The prefix that the model in `directory` came with; None: it came without.

    Raises ArtifactError if the file is not there or is not as long as the manifest says.
    """
    if manifest.prefix is None:
        return None
    path, tokens = directory / manifest.prefix.file, manifest.prefix.tokens
    shapes = [(np.dtype(spec.dtype), shape_of(spec, 1, tokens)) for spec in manifest.graph.past]
    expected = tokens * _TOKEN.itemsize + sum(dtype.itemsize * math.prod(shape) for dtype, shape in shapes)
    try:
        mapped = np.memmap(path, np.uint8, "r")
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise ArtifactError(f"{path} cannot be read ({error}): export the model again") from None
    if len(mapped) != expected:
        raise ArtifactError(
            f"{path} holds {len(mapped)} bytes instead of {expected} for {tokens} tokens: export the model again"
        )
    start = tokens * _TOKEN.itemsize
    token_ids = tuple(mapped[:start].view(_TOKEN).tolist())
    kv = []
    for dtype, shape in shapes:
        end = start + dtype.itemsize * math.prod(shape)
        kv.append(mapped[start:end].view(dtype).reshape(shape))
        start = end
    return BakedPrefix(manifest.graph, token_ids, kv)
