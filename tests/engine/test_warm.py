"""Facts about the dummy step: it runs a prompt and a token where the window has room for both."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from handler.engine.warm import warm_up


class Recorder:
    """A decoder and its only sequence, which notes the widths of its steps."""

    vocab_size = 4
    prefill_chunk = 256
    length = 0

    def __init__(self, context_window: int) -> None:
        self.context_window = context_window
        self.steps: list[int] = []

    def open(self) -> "Recorder":
        return self

    def forward(self, token_ids: Sequence[int], logits_rows: int = 1) -> NDArray[np.float32]:
        self.steps.append(len(token_ids))
        self.length += len(token_ids)
        assert self.length <= self.context_window
        return np.zeros((logits_rows, self.vocab_size), np.float32)


@pytest.mark.parametrize(("window", "steps"), [(2048, [2, 1]), (3, [2, 1]), (2, [1, 1]), (1, [1])])
def test_a_prompt_and_a_token_within_the_window(window: int, steps: list[int]) -> None:
    decoder = Recorder(window)
    warm_up(decoder)
    assert decoder.steps == steps
