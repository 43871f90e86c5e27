"""The product's own engine: the decoder that the server drives, without the server."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.workers.protocol import Loaded, Stepping, serve


def load(model: Path, threads: int, *, kernels: bool = True) -> Loaded:
    """`kernels`: ours where they suit the processor; else ONNX Runtime's own everywhere."""
    import onnxruntime

    from handler.manifest import ModelManifest
    from handler.ort.decoder import chosen_graph, load_decoder
    from handler.ort.graph_choice import GraphChoice

    manifest = ModelManifest.read(model)
    choice = chosen_graph(manifest) if kernels else GraphChoice(graph=manifest.graph, library=None)
    decoder = load_decoder(model, manifest, threads=threads, choice=choice)

    class Ours(Stepping):
        def reset(self) -> None:
            self.session = decoder.open()

        def forward(self, ids: Sequence[int]) -> None:
            for start in range(0, len(ids), decoder.prefill_chunk):
                self.session.forward(ids[start : start + decoder.prefill_chunk])

        def score(self, ids: Sequence[int]) -> Any:
            return decoder.open().forward(ids, len(ids))

    return Ours(), {"onnxruntime": onnxruntime.__version__}


if __name__ == "__main__":
    serve(load)
