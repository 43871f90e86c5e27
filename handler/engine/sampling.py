"""Samplers: one row of logits in, one token id out. Pure but for the entropy of a request without a seed.

The order is that of Hugging Face transformers: temperature, then top_k, top_p over what top_k left, min_p over what
top_p left. Each keeps the most likely tokens, so together they keep a prefix of the sorted vocabulary; it is found
without sorting the vocabulary, and exactly.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from handler.engine.params import GenerationParams

# Row: float32 [vocab_size]. A sampler does not change it.
Row = NDArray[np.float32]
Sampler = Callable[[Row], int]

GREEDY_BELOW = 1e-5  # temperatures that would overflow the division are greedy, as in vLLM
_BLOCK = 256  # tokens
_NEGLIGIBLE = 1e-9  # of the most likely token's weight: a nucleus that reaches below is sorted whole


def make_sampler(params: GenerationParams, vocab_size: int) -> Sampler:
    """The sampler of one request: greedy at temperature 0, else random, repeatable with a seed (any integer)."""
    if params.temperature < GREEDY_BELOW:
        return greedy
    seed = None if params.seed is None else params.seed % 2**64
    uniform = np.random.Generator(np.random.PCG64(seed)).random
    weigh = _softmax_weights(params.temperature, vocab_size)
    top_k, top_p, min_p = params.top_k, params.top_p, params.min_p

    def from_all(row: Row) -> int:
        weights = weigh(row)
        if top_p == 1 and min_p == 0:
            return _draw(weights, uniform())
        kept = nucleus(weights, top_p, min_p)
        return int(kept[_draw(weights[kept], uniform())])

    def from_top_k(row: Row) -> int:
        token_ids = most_likely(row, top_k)
        return int(token_ids[from_all(row[token_ids])])

    return from_top_k if 0 < top_k < vocab_size else from_all


def choice_seed(seed: int | None, choice: int) -> int | None:
    """The seed of one of several choices: the request's own for the first, then steps of 2⁶⁴ divided by the golden
    ratio, which keep neighbouring seeds of neighbouring choices apart."""
    return None if seed is None else (seed + choice * 0x9E3779B97F4A7C15) % 2**64


def greedy(row: Row) -> int:
    """The most likely token, the lowest id among equals."""
    return int(row.argmax())


def most_likely(row: Row, count: int) -> NDArray[np.int64]:
    """The ids of the `count` highest logits and of those that equal the lowest of them, ascending; as transformers."""
    return np.flatnonzero(row >= np.partition(row, -count)[-count])


def nucleus(weights: Row, top_p: float, min_p: float) -> NDArray[np.int64]:
    """The indices that top_p and min_p keep, most likely first, the lowest index first among equals.

    `weights`: float32, proportional to the probabilities, the largest 1. top_p keeps the fewest that reach its share of
    the whole, one at least.
    """
    share = top_p * float(weights.sum())
    indices = _head(weights, share, min_p) if top_p < 1 else np.flatnonzero(weights >= min_p)
    indices = indices[np.argsort(-weights[indices], kind="stable")]
    kept = weights[indices]
    size = len(kept)
    if top_p < 1:
        size = min(size, int(np.searchsorted(kept.cumsum(dtype=np.float64), share)) + 1)
    return indices[: min(size, int(np.count_nonzero(kept >= min_p)))]


def _head(weights: Row, share: float, min_p: float) -> NDArray[np.int64]:
    """All indices above some weight: enough to weigh `share` together, but none below `min_p`."""
    threshold = 1 / 8
    while threshold > max(min_p, _NEGLIGIBLE):
        indices = np.flatnonzero(weights >= threshold)
        if weights[indices].sum() > share:
            return indices
        threshold /= 8
    return np.flatnonzero(weights >= min_p)


def _softmax_weights(temperature: float, vocab_size: int) -> Callable[[Row], Row]:
    """Logits → exp((logit − highest) / temperature), in one buffer that each call overwrites."""
    buffer = np.empty(vocab_size, np.float32)

    def weigh(row: Row) -> Row:
        weights = buffer[: len(row)]
        np.subtract(row, row.max(), out=weights)
        if temperature != 1:
            np.multiply(weights, 1 / temperature, out=weights)
        return np.exp(weights, out=weights)

    return weigh


def _draw(weights: Row, uniform: float) -> int:
    """The index that `uniform`, in [0, 1), falls on when the weights are laid end to end."""
    # First the block, then the place in it: summing 49,000 weights one after the other is what would cost time.
    blocks = np.add.reduceat(weights, np.arange(0, len(weights), _BLOCK)).cumsum(dtype=np.float64)
    point = uniform * float(blocks[-1])
    block = _locate(blocks, point)
    start = block * _BLOCK
    before = float(blocks[block - 1]) if block else 0.0
    return start + _locate(weights[start : start + _BLOCK].cumsum(dtype=np.float64), point - before)


def _locate(cumulative: NDArray[np.float64], point: float) -> int:
    """The first index whose cumulative weight exceeds `point`; never one of weight 0, whatever rounding did."""
    below_the_end = float(np.nextafter(cumulative[-1], 0))
    return int(np.searchsorted(cumulative, min(point, below_the_end), side="right"))
