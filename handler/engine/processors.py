"""Logits processors: what changes the model's distribution before sampling. Pure.

A request has a tuple of them, in this order; what is off is absent. They work in place on one float32 [vocab_size] row.
Repetition penalty first, on the model's own logits, as its authors defined it; then what is added; masks last, so that
nothing lifts a masked token again.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from handler.engine.params import GenerationParams

Row = NDArray[np.float32]
# (the tokens generated so far, the row to change). Called before each token that is sampled, with at least one token
# more than before: several where a grammar forced them.
LogitsProcessor = Callable[[Sequence[int], Row], None]


def make_processors(
    params: GenerationParams, prompt_ids: Sequence[int], end_token_ids: Collection[int], vocab_size: int
) -> tuple[LogitsProcessor, ...]:
    """The processors of one request; ids in `params` must be below `vocab_size`."""
    processors: list[LogitsProcessor] = []
    if params.repetition_penalty != 1:
        processors.append(_repetition_penalty(params.repetition_penalty, prompt_ids, vocab_size))
    if params.presence_penalty or params.frequency_penalty:
        processors.append(_penalties(params.presence_penalty, params.frequency_penalty, vocab_size))
    if params.logit_bias:
        processors.append(_logit_bias(params.logit_bias))
    if params.ignore_eos:
        processors.append(_never(set(end_token_ids) - set(params.stop_token_ids)))
    if params.min_tokens:
        processors.append(_not_before(params.min_tokens, {*end_token_ids, *params.stop_token_ids}))
    return tuple(processors)


def _repetition_penalty(penalty: float, prompt_ids: Sequence[int], vocab_size: int) -> LogitsProcessor:
    """CTRL's (arXiv:1909.05858): a token of prompt or answer has its logit divided if positive, else multiplied."""
    # One factor for each token of the vocabulary, so that a step costs the same however long the answer is.
    if_positive = np.ones(vocab_size, np.float32)
    if_negative = np.ones(vocab_size, np.float32)

    scratch = np.empty(vocab_size, np.float32)
    seen = 0

    def note(token_ids: Sequence[int]) -> None:
        indices = np.asarray(token_ids, np.int64)
        if_positive[indices] = 1 / penalty
        if_negative[indices] = penalty

    def process(generated: Sequence[int], row: Row) -> None:
        nonlocal seen
        note(generated[seen:])
        seen = len(generated)
        # max(row, 0)·if_positive + min(row, 0)·if_negative: one of the two is 0, and no branch depends on the data.
        np.minimum(row, 0, out=scratch)
        np.multiply(scratch, if_negative, out=scratch)
        np.maximum(row, 0, out=row)
        np.multiply(row, if_positive, out=row)
        np.add(row, scratch, out=row)

    note(prompt_ids)
    return process


def _penalties(presence: float, frequency: float, vocab_size: int) -> LogitsProcessor:
    """OpenAI's: logit − presence·[count > 0] − frequency·count, over the generated tokens."""
    counts: dict[int, int] = {}
    penalty = np.zeros(vocab_size, np.float32)
    seen = 0

    def process(generated: Sequence[int], row: Row) -> None:
        nonlocal seen
        for token_id in generated[seen:]:
            counts[token_id] = count = counts.get(token_id, 0) + 1
            penalty[token_id] = presence + frequency * count
        seen = len(generated)
        row -= penalty

    return process


def _logit_bias(bias: Mapping[int, float]) -> LogitsProcessor:
    token_ids = np.fromiter(bias.keys(), np.int64)
    added = np.fromiter(bias.values(), np.float32)

    def process(_generated: Sequence[int], row: Row) -> None:
        row[token_ids] += added

    return process


def _never(token_ids: Collection[int]) -> LogitsProcessor:
    masked = np.fromiter(token_ids, np.int64)

    def process(_generated: Sequence[int], row: Row) -> None:
        row[masked] = -np.inf

    return process


def _not_before(min_tokens: int, token_ids: Collection[int]) -> LogitsProcessor:
    mask = _never(token_ids)

    def process(generated: Sequence[int], row: Row) -> None:
        if len(generated) < min_tokens:
            mask(generated, row)

    return process
