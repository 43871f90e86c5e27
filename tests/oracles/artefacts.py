"""The default model through every exporter and through torch; artefacts are kept until the exporter changes."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from handler.engine.ports import Decoder
from handler.manifest import Graph, ModelManifest
from handler.ort.decoder import load_decoder
from model_export import direct, optimum_exporter
from model_export.checkpoint import Checkpoint
from model_export.package import describe, staging, write_tokenizer
from model_export.progress import Progress, Stopwatch
from model_export.recipes import Recipe
from tests.models import ROOT, exporter_digest

BUILDERS = {"direct": direct.build, "optimum": optimum_exporter.build}


class Model(Protocol):
    """What an oracle asks of an implementation, whichever it is."""

    def logits(self, token_ids: Sequence[int]) -> NDArray[np.float32]:
        """float32 [len(token_ids), vocab]: after each of the tokens, in one uncached pass."""
        ...

    def greedy(self, token_ids: Sequence[int], count: int) -> list[int]:
        """The next `count` tokens, each fed back through the KV cache; end tokens end nothing."""
        ...


class TorchModel:
    def __init__(self, model: Any) -> None:
        self._model = model

    def logits(self, token_ids: Sequence[int]) -> NDArray[np.float32]:
        with torch.no_grad():
            rows: NDArray[np.float32] = self._model(torch.tensor([token_ids])).logits[0].numpy()
        return rows

    def greedy(self, token_ids: Sequence[int], count: int) -> list[int]:
        ids, past, answer = list(token_ids), None, []
        with torch.no_grad():
            while len(answer) < count:
                output = self._model(torch.tensor([ids]), past_key_values=past, use_cache=True)
                past, ids = output.past_key_values, [int(output.logits[0, -1].argmax())]
                answer += ids
        return answer


class ServedModel:
    """A model directory, run as the server runs it."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def logits(self, token_ids: Sequence[int]) -> NDArray[np.float32]:
        return self._decoder.open().forward(token_ids, len(token_ids)).copy()

    def greedy(self, token_ids: Sequence[int], count: int) -> list[int]:
        sequence, ids, answer = self._decoder.open(), list(token_ids), []
        while len(answer) < count:
            ids = [int(sequence.forward(ids)[0].argmax())]
            answer += ids
        return answer


def served(directory: Path) -> ServedModel:
    return ServedModel(load_decoder(directory, ModelManifest.read(directory), threads=0))


def artefact(checkpoint: Checkpoint, exporter: str, recipe: Recipe, *, output: Path | None = None) -> Path:
    """An artefact that nobody verified. Without `output` it is cached."""
    name = f"oracle-{checkpoint.name}-{checkpoint.source.revision}-{exporter}-{recipe.name}"
    directory = output or ROOT / ".cache" / "tests" / exporter_digest() / name
    if not (directory / "manifest.json").exists():
        progress = Stopwatch()
        with staging(directory) as stage:
            graph = BUILDERS[exporter](checkpoint, recipe, stage, progress)
            write_tokenizer(checkpoint, stage)
            window = int(checkpoint.config["max_position_embeddings"])
            described = describe(
                checkpoint,
                graph,
                stage,
                progress,
                name=None,
                exporter="direct" if exporter == "direct" else "optimum",
                recipe=recipe.name,
                context_window=window,
                environ={},
            )
            described.write(stage)
    return directory


class FromCache:
    """An exporter whose fp32 graph, the reference of a verification, is the cached one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, checkpoint: Checkpoint, recipe: Recipe, directory: Path, progress: Progress) -> Graph:  # noqa: ARG002
        for file in self._directory.glob("model.onnx*"):
            shutil.copy(file, directory)
        return ModelManifest.read(self._directory).graph
