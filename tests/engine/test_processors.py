import numpy as np
import pytest

from handler.engine.params import GenerationParams
from handler.engine.processors import make_processors

INF = float("inf")
END = 4


def steps(params: GenerationParams, generated: list[int], *, prompt: tuple[int, ...] = (0,)) -> list[list[float]]:
    """The processed row before each generated token and after the last, of the logits 2, −2, 1, 0, 3."""
    processors = make_processors(params, prompt, (END,), 5)
    rows = []
    for length in range(len(generated) + 1):
        row = np.array([2, -2, 1, 0, 3], np.float32)
        for process in processors:
            process(generated[:length], row)
        rows.append(row.tolist())
    return rows


def test_defaults_change_nothing_and_cost_nothing() -> None:
    assert make_processors(GenerationParams(), (0,), (END,), 5) == ()


def test_logit_bias_is_added() -> None:
    assert steps(GenerationParams(logit_bias={0: -100, 3: 2.5}), []) == [[-98, -2, 1, 2.5, 3]]


def test_presence_penalty_counts_once() -> None:
    rows = steps(GenerationParams(presence_penalty=0.5), [2, 2])
    assert rows == [[2, -2, 1, 0, 3], [2, -2, 0.5, 0, 3], [2, -2, 0.5, 0, 3]]


def test_frequency_penalty_counts_every_time_and_not_the_prompt() -> None:
    rows = steps(GenerationParams(frequency_penalty=0.5), [2, 1, 2], prompt=(0, 3))
    assert rows[-1] == [2, -2.5, 0, 0, 3]


def test_both_penalties_follow_the_formula() -> None:
    rows = steps(GenerationParams(presence_penalty=1, frequency_penalty=0.25), [0, 0, 0, 1])
    assert rows[-1] == [2 - 1 - 0.75, -2 - 1 - 0.25, 1, 0, 3]


def test_negative_penalties_encourage() -> None:
    assert steps(GenerationParams(presence_penalty=-2), [3])[-1] == [2, -2, 1, 2, 3]


def test_repetition_penalty_covers_prompt_and_answer() -> None:
    rows = steps(GenerationParams(repetition_penalty=2), [1, 4], prompt=(0, 3))
    assert rows == [[1, -2, 1, 0, 3], [1, -4, 1, 0, 3], [1, -4, 1, 0, 1.5]]


def test_repetition_penalty_comes_before_what_is_added() -> None:
    assert steps(GenerationParams(repetition_penalty=2, logit_bias={0: 1}), []) == [[2, -2, 1, 0, 3]]


def test_min_tokens_masks_end_tokens_until_then() -> None:
    rows = steps(GenerationParams(min_tokens=2, stop_token_ids=(1,)), [0, 0])
    assert rows == [[2, -INF, 1, 0, -INF], [2, -INF, 1, 0, -INF], [2, -2, 1, 0, 3]]


@pytest.mark.parametrize(
    ("stop_token_ids", "expected"),
    [
        pytest.param((), [2, -2, 1, 0, -INF], id="the model's end token"),
        pytest.param((END,), [2, -2, 1, 0, 3], id="unless the caller asks to stop at it"),
    ],
)
def test_ignore_eos_masks_end_tokens_for_ever(stop_token_ids: tuple[int, ...], expected: list[float]) -> None:
    assert steps(GenerationParams(ignore_eos=True, stop_token_ids=stop_token_ids), [0])[-1] == expected


def test_a_bias_does_not_lift_a_mask() -> None:
    assert steps(GenerationParams(ignore_eos=True, logit_bias={END: 100}), [])[-1][END] == -INF
