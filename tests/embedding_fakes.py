"""A small embedding model shaped by the Protocols: bytes are tokens, and a token's vector can be computed by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from handler.chat.embedding import EmbeddingModel, EmbeddingService
from handler.engine.embedding import Vectors

START, END = 256, 257
WINDOW = 12
NAME = "fake-embedder"


class FakeTextEncoder:
    def encode(self, text: str) -> list[int]:
        return [START, *text.encode(), END]

    def complete(self, token_ids: Sequence[int]) -> list[int]:
        return list(token_ids) if token_ids[0] == START else [START, *token_ids, END]


@dataclass
class FakeEncoder:
    """The vector of token t is [t, 1, −t, 0]; that of padding is not a number, so that nobody can use it unseen."""

    vocab_size: int = 258
    context_window: int = WINDOW
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def encode(self, token_ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        self.shapes.append(token_ids.shape)
        tokens = token_ids.astype(np.float32)
        hidden = np.stack([tokens, np.ones_like(tokens), -tokens, np.zeros_like(tokens)], axis=-1)
        hidden[mask == 0] = np.nan
        return hidden


def embedding_service(encoder: FakeEncoder | None = None, *, normalize: bool = False) -> EmbeddingService:
    return EmbeddingService(
        EmbeddingModel(
            name=NAME,
            created=1_700_000_000,
            encoder=encoder or FakeEncoder(),
            tokenizer=FakeTextEncoder(),
            vectors=Vectors(pooling="mean", normalize=normalize),
            dimensions=4,
        )
    )
