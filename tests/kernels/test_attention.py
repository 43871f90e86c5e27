"""Attention over keys and values in place, against float64."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from tests.kernels.one_operator import Array, session

HEADS, GROUPS, WIDTH, CAPACITY = 6, 2, 32, 300
_INPUTS = ("qkv", "keys", "values", "last", "cosines", "sines")


def tables(positions: int = CAPACITY) -> list[Array]:
    angles = np.outer(np.arange(positions), 1e4 ** -(np.arange(0, WIDTH, 2) / WIDTH))
    return [np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)]


class Attention:
    """The operator over buffers of its own, past and present in one, which begin with garbage."""

    def __init__(self, operators: Path, sequences: int = 1, threads: int = 1) -> None:
        shape = (sequences, GROUPS, CAPACITY, WIDTH)
        self.keys, self.values = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
        self._session = session(
            operators,
            "GroupedAttention",
            _INPUTS,
            {},
            ["context", "present keys", "present values"],
            threads=threads,
            integers=["last"],
            attributes={"num_heads": HEADS, "kv_num_heads": GROUPS},
        )

    def step(self, qkv: Array, last: list[int]) -> NDArray[np.float32]:
        binding = self._session.io_binding()
        values = [qkv, self.keys, self.values, np.array(last, np.int32), *tables()]
        bound = [onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value)) for value in values]
        for name, value in zip(_INPUTS, bound, strict=True):
            binding.bind_ortvalue_input(name, value)
        binding.bind_output("context")
        for name, buffer in (("present keys", self.keys), ("present values", self.values)):
            binding.bind_ortvalue_output(name, onnxruntime.OrtValue.ortvalue_from_numpy(buffer))
        self._session.run_with_iobinding(binding)
        context: NDArray[np.float32] = binding.get_outputs()[0].numpy()
        return context


def made_up(rng: np.random.Generator, sequences: int, step: int) -> NDArray[np.float32]:
    return rng.normal(0, 1, (sequences, step, (HEADS + 2 * GROUPS) * WIDTH)).astype(np.float32)


def exact(qkv: Array) -> NDArray[np.float64]:
    """One sequence from its beginning, [step, heads × width]."""
    x = qkv.astype(np.float64).reshape(len(qkv), -1, WIDTH)
    cosines, sines = (table[: len(qkv), None].astype(np.float64) for table in tables())
    first, second = x[..., : WIDTH // 2], x[..., WIDTH // 2 :]
    rotated = np.concatenate([first * cosines - second * sines, second * cosines + first * sines], axis=-1)
    queries, keys, values = rotated[:, :HEADS], rotated[:, HEADS : HEADS + GROUPS], x[:, HEADS + GROUPS :]
    shared = HEADS // GROUPS
    keys, values = np.repeat(keys, shared, axis=1), np.repeat(values, shared, axis=1)
    scores = np.einsum("qhd,khd->hqk", queries, keys) / np.sqrt(WIDTH)
    scores[:, np.triu(np.ones((len(qkv), len(qkv)), bool), 1)] = -np.inf
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    context: NDArray[np.float64] = np.einsum("hqk,khd->qhd", weights, values).reshape(len(qkv), -1)
    return context


@pytest.mark.parametrize("length", [1, 2, 31, 127, 128, 129, 260, 300])
def test_a_prompt_attends_as_arithmetic_says(operators: Path, length: int) -> None:
    qkv = made_up(np.random.default_rng(length), 1, length)
    np.testing.assert_allclose(Attention(operators).step(qkv, [length - 1])[0], exact(qkv[0]), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("widths", [[1] * 140, [7] * 20, [128, 12], [33, 1, 1, 105], [139, 1]])
def test_steps_of_any_width_leave_the_same_bits(operators: Path, widths: list[int]) -> None:
    qkv = made_up(np.random.default_rng(1), 1, 140)
    whole, pieces = Attention(operators), Attention(operators, threads=2)
    expected = whole.step(qkv, [139])
    found, begin = [], 0
    for width in widths:
        found.append(pieces.step(qkv[:, begin : begin + width], [begin + width - 1]))
        begin += width
    assert (np.concatenate(found, axis=1) == expected).all()
    assert (pieces.keys[:, :, :140] == whole.keys[:, :, :140]).all()
    assert (pieces.values[:, :, :140] == whole.values[:, :, :140]).all()


def test_sequences_of_different_lengths_share_a_step_and_round_as_alone(operators: Path) -> None:
    rng = np.random.default_rng(2)
    lengths = [5, 130, 64]
    prompts = [made_up(rng, 1, length) for length in lengths]
    following = made_up(rng, 3, 1)
    together = Attention(operators, sequences=3, threads=2)
    expected = []
    for row, (prompt, length) in enumerate(zip(prompts, lengths, strict=True)):
        alone = Attention(operators)
        alone.step(prompt, [length - 1])
        together.keys[row], together.values[row] = alone.keys[0], alone.values[0]
        expected.append(alone.step(following[row : row + 1], [length])[0])
    assert (together.step(following, lengths) == np.stack(expected)).all()


def test_a_key_that_drowns_all_others_is_the_only_one_seen(operators: Path) -> None:
    qkv = made_up(np.random.default_rng(3), 1, 200)
    qkv *= 1e3
    found = Attention(operators).step(qkv, [199])[0]
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, exact(qkv[0]), rtol=1e-3, atol=1e-1)


@pytest.mark.parametrize("last", [-1, 1, CAPACITY])
def test_a_step_outside_of_its_buffers_is_an_error(operators: Path, last: int) -> None:
    qkv = made_up(np.random.default_rng(4), 1, 3)
    with pytest.raises(RuntimeError, match="please"):  # what a run with bindings raises
        Attention(operators).step(qkv, [last])
