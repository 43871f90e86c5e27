"""Verification of an embedding model: how far its vectors are from those of the fp32 graph of the same checkpoint.

Both graphs run through the serving path over the text that ships with the exporter: line by line, and in pieces that
fill the window.
"""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handler.embedding_tokenizer import EmbeddingTokenizer
from handler.engine.embedding import Encoder, Vectors, embed
from handler.manifest import Embedding, EmbeddingQuality, ModelManifest
from handler.ort.embedding import load_encoder
from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.progress import Progress
from model_export.recipes import Recipe, get_recipe
from model_export.verify import TEXT, Build

_REFERENCE = "fp32"


def verify_embedding(
    *,
    checkpoint: Checkpoint,
    manifest: ModelManifest,
    embedding: Embedding,
    directory: Path,
    recipe: Recipe,
    build: Build,
    progress: Progress,
) -> EmbeddingQuality:
    """Measures the artefact in `directory`, which holds the graph and the tokenizer that `manifest` names.

    `build` is the exporter that made it, and makes the reference. Raises ExportError if a vector is farther from its
    reference than the recipe's bounds allow.
    """
    tokenizer = EmbeddingTokenizer.from_file(directory / manifest.tokenizer_file)
    texts = _texts(tokenizer, TEXT.read_text(encoding="utf-8"), manifest.context_window)
    shape = Vectors(pooling=embedding.pooling, normalize=True)
    found = _vectors(load_encoder(directory, manifest, threads=0), texts, shape, progress)
    if recipe.name == _REFERENCE:
        expected = found
    else:
        with tempfile.TemporaryDirectory(prefix="reference-") as scratch:
            graph = build(checkpoint, get_recipe(_REFERENCE), Path(scratch), progress)
            reference = load_encoder(Path(scratch), manifest.model_copy(update={"graph": graph}), threads=0)
            expected = _vectors(reference, texts, shape, progress)
    cosines = np.clip((found * expected).sum(axis=1), -1, 1)
    quality = EmbeddingQuality(texts=len(texts), mean_cosine=float(cosines.mean()), min_cosine=float(cosines.min()))
    if not quality.min_cosine >= recipe.bounds.min_cosine:  # not a number is beyond every bound
        raise ExportError(
            f"{recipe.name}: a vector's cosine with fp32 is {quality.min_cosine:.5f}, the recipe demands"
            f" {recipe.bounds.min_cosine}: use a recipe with more bits"
        )
    return quality


def _texts(tokenizer: EmbeddingTokenizer, text: str, window: int) -> list[list[int]]:
    """The lines, each cut to the window, and the whole text in windows."""
    lines = [tokenizer.encode(line)[:window] for line in text.splitlines() if line.strip()]
    whole = tokenizer.encode(text)
    return lines + [whole[start : start + window] for start in range(0, len(whole), window)]


def _vectors(encoder: Encoder, texts: list[list[int]], shape: Vectors, progress: Progress) -> NDArray[np.float32]:
    vectors: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(texts)
    with progress.phase("embed", total=len(texts), unit="text") as step:
        for batch in embed(encoder, texts, shape):
            for index, vector in zip(batch.indices, batch.vectors, strict=True):
                vectors[index] = vector
            step(len(batch.indices))
    return np.stack(vectors)
