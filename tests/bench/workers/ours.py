"""The product's own engine: the decoder that the server drives, without the server."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.workers.protocol import Loaded, Stepping, serve


def load(model: Path, threads: int) -> Loaded:
    import onnxruntime

    from handler.manifest import ModelManifest
    from handler.ort.decoder import load_decoder

    decoder = load_decoder(model, ModelManifest.read(model), threads=threads)

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
