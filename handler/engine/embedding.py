"""Texts as token ids in, one vector for each out: batches, pooling, length, dimensions. Pure.

A batch is one step of the engine thread. Texts of like length share a batch, so that little of it is padding; padding
is masked, and no text's vector depends on its company but for rounding.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from handler.errors import DeadlineExceeded, ServerFault
from handler.frozen import dataclass

# Positions of one batch, padding included: about as long a step as a chunk of prefill. A longer text is a batch alone.
BATCH_POSITIONS = 256

_SMALLEST_LENGTH = 1e-12  # as torch's normalize: a vector of zeros stays one

Pooling = Literal["mean", "cls", "last"]


class Encoder(Protocol):
    """A loaded encoder."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def context_window(self) -> int:
        """Tokens of one text, start and end tokens included."""
        ...

    def encode(self, token_ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of all tokens, float32 [batch, step, width]. `token_ids` and `mask` are int64 [batch, step];
        the mask is 1, and 0 on padding, which is at the end of a row."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """How a text's one vector comes from those of its tokens. `dimensions` None: all there are."""

    pooling: Pooling
    normalize: bool
    dimensions: int | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """One batch is done: `vectors` float32 [len(indices), dimensions] of the texts at `indices`."""

    indices: tuple[int, ...]
    vectors: NDArray[np.float32]


def embed(
    encoder: Encoder,
    texts: Sequence[Sequence[int]],
    shape: Vectors,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Embedded]:
    """Runs the encoder, one batch for each item. Every text has 1 to `context_window` tokens.

    Raises DeadlineExceeded once `should_stop()` is true: part of an answer is none. Raises ServerFault where the
    model's arithmetic breaks down.
    """
    for indices in batches([len(text) for text in texts]):
        if should_stop():
            raise DeadlineExceeded("The time for this request was up before all its texts were embedded.")
        token_ids, mask = padded([texts[index] for index in indices])
        vectors = pooled(encoder.encode(token_ids, mask), mask, shape)
        if not np.isfinite(vectors).all():
            raise ServerFault("The model has computed something that is no number.")
        yield Embedded(indices, vectors)


def batches(lengths: Sequence[int], positions: int = BATCH_POSITIONS) -> Iterator[tuple[int, ...]]:
    """The indices of `lengths` in groups of like length, shortest first, each of at most `positions` when padded."""
    group: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if group and (len(group) + 1) * lengths[index] > positions:
            yield tuple(group)
            group = []
        group.append(index)
    if group:
        yield tuple(group)


def padded(texts: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids with zeros behind the shorter texts, and the mask; both int64 [texts, longest]."""
    longest = max(map(len, texts))
    token_ids, mask = (np.zeros((len(texts), longest), np.int64) for _ in range(2))
    for row, text in enumerate(texts):
        token_ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return token_ids, mask


def pooled(hidden: NDArray[np.float32], mask: NDArray[np.int64], shape: Vectors) -> NDArray[np.float32]:
    """One vector for each row of `hidden` [batch, step, width]; float32 [batch, dimensions].

    Fewer dimensions than there are: the first ones, scaled to length 1.
    """
    vectors = _POOLERS[shape.pooling](hidden, mask)
    if shape.normalize:
        vectors = _unit(vectors)
    if shape.dimensions is not None and shape.dimensions < vectors.shape[1]:
        vectors = _unit(vectors[:, : shape.dimensions])
    return vectors


def _mean(hidden: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    # Row by row: a sum over a row's own tokens comes out the same, however much padding its neighbours cause.
    means: NDArray[np.float32] = np.stack(
        [row[:length].mean(axis=0) for row, length in zip(hidden, mask.sum(axis=1), strict=True)]
    )
    return means


def _cls(hidden: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    del mask
    return hidden[:, 0]


def _last(hidden: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    last: NDArray[np.float32] = hidden[np.arange(len(hidden)), mask.sum(axis=1) - 1]
    return last


_POOLERS: dict[Pooling, Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.float32]]] = {
    "mean": _mean,
    "cls": _cls,
    "last": _last,
}


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(lengths, _SMALLEST_LENGTH)
    return unit
