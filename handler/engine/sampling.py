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


def make_sampler(params: GenerationParams, vocab_size: int) -> Sampler:
    """The sampler of one request: greedy at temperature 0, else random, repeatable with a seed (any integer)."""
    if params.temperature < GREEDY_BELOW:
        return greedy
    seed = None if params.seed is None else params.seed % 2**64
    uniform = np.random.Generator(np.random.PCG64(seed)).random
    weigh = _softmax_weights(params.temperature, vocab_size)
    if params.top_k == 0 and params.top_p == 1 and params.min_p == 0:
        return lambda row: _draw(weigh(row), uniform())
    top_k = min(params.top_k or vocab_size, vocab_size)

    def sample(row: Row) -> int:
        token_ids, weights = nucleus(weigh(row), top_k, params.top_p, params.min_p)
        return int(token_ids[_draw(weights, uniform())])

    return sample


def greedy(row: Row) -> int:
    """The most likely token, the lowest id among equals."""
    return int(row.argmax())


def nucleus(weights: Row, top_k: int, top_p: float, min_p: float) -> tuple[NDArray[np.int64], Row]:
    """The tokens that top_k, top_p and min_p keep, and their weights, both most likely first, lowest id among equals.

    `weights`: float32 [vocab_size], proportional to the probabilities, the largest 1. Tokens as likely as the top_k-th
    are kept with it. top_p keeps the fewest tokens that reach its share, always one at least.
    """
    vocab_size = len(weights)
    if top_k < vocab_size:
        token_ids = np.flatnonzero(weights >= np.partition(weights, -top_k)[-top_k])
        total = float(weights[token_ids].sum(dtype=np.float64))
    else:
        total = float(weights.sum(dtype=np.float64))
        # Tokens below this share weigh less than 1 − top_p all together: no nucleus needs any of them.
        token_ids = np.flatnonzero(weights >= max(min_p, (1 - top_p) * total / vocab_size))
    kept = weights[token_ids]
    order = np.argsort(-kept, kind="stable")
    token_ids, kept = token_ids[order], kept[order]
    size = len(kept)
    if top_p < 1:
        size = min(size, int(np.searchsorted(kept.cumsum(dtype=np.float64), top_p * total)) + 1)
    if min_p > 0:
        size = min(size, int(np.count_nonzero(kept >= min_p)))
    return token_ids[:size], kept[:size]


def _softmax_weights(temperature: float, vocab_size: int) -> Callable[[Row], Row]:
    """Logits → exp((logit − highest) / temperature), into one buffer that each call overwrites."""
    weights = np.empty(vocab_size, np.float32)

    def weigh(row: Row) -> Row:
        np.subtract(row, row.max(), out=weights)
        if temperature != 1:
            np.divide(weights, temperature, out=weights)
        return np.exp(weights, out=weights)

    return weigh


def _draw(weights: Row, uniform: float) -> int:
    """The index that `uniform`, in [0, 1), falls on when the weights are laid end to end."""
    # First the block, then the place in it: summing 49,000 weights one after the other is what would cost time.
    blocks = np.add.reduceat(weights, np.arange(0, len(weights), _BLOCK), dtype=np.float64).cumsum()
    point = uniform * float(blocks[-1])
    block = _locate(blocks, point)
    start = block * _BLOCK
    before = float(blocks[block - 1]) if block else 0.0
    return start + _locate(weights[start : start + _BLOCK].cumsum(dtype=np.float64), point - before)


def _locate(cumulative: NDArray[np.float64], point: float) -> int:
    """The first index whose cumulative weight exceeds `point`; never one of weight 0, whatever rounding did."""
    below_the_end = float(np.nextafter(cumulative[-1], 0))
    return int(np.searchsorted(cumulative, min(point, below_the_end), side="right"))
