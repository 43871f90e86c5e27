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

    def unbound(self, qkv: Array, last: list[int]) -> list[Array]:
        """Into buffers of ONNX Runtime's own: context, keys, values."""
        given = [qkv, self.keys, self.values, np.array(last, np.int32), *tables()]
        return list(self._session.run(None, dict(zip(_INPUTS, given, strict=True))))

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


@pytest.mark.parametrize("widths", [[1] * 290, [7] * 41 + [3], [128, 162], [256, 1, 33], [33, 1, 1, 255], [289, 1]])
def test_steps_of_any_width_leave_the_same_bits(operators: Path, widths: list[int]) -> None:
    qkv = made_up(np.random.default_rng(1), 1, 290)
    whole, pieces = Attention(operators), Attention(operators, threads=2)
    expected = whole.step(qkv, [289])
    found, begin = [], 0
    for width in widths:
        found.append(pieces.step(qkv[:, begin : begin + width], [begin + width - 1]))
        begin += width
    assert (np.concatenate(found, axis=1) == expected).all()
    assert (pieces.keys[:, :, :290] == whole.keys[:, :, :290]).all()
    assert (pieces.values[:, :, :290] == whole.values[:, :, :290]).all()


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


@pytest.mark.parametrize(
    ("heads", "groups", "shape"),
    [
        (0, 1, (1, 1, 8, 32)),
        (2, 0, (1, 1, 8, 32)),
        (-2, -1, (1, 1, 8, 32)),
        (2**60, 2**58, (1, 0, 64, 32)),
        (2, 1, (2, 1, 8, 32)),
        (2, 1, (1, 1, 8, 24)),
        (2, 1, (1, 1, 8, 0)),
    ],
)
def test_heads_that_do_not_fit_are_an_error(operators: Path, heads: int, groups: int, shape: tuple[int, ...]) -> None:
    made = session(
        operators,
        "GroupedAttention",
        _INPUTS,
        {},
        ["context", "present keys", "present values"],
        integers=["last"],
        attributes={"num_heads": heads, "kv_num_heads": groups},
    )
    keys, width = np.zeros(shape, np.float32), shape[3]
    qkv = np.zeros((1, 1, max(0, heads + 2 * groups) % 2**20 * width), np.float32)
    tables = np.zeros((8, width // 2), np.float32)
    given = dict(zip(_INPUTS, [qkv, keys, keys, np.zeros(1, np.int32), tables, tables], strict=True))
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument, match=r"please|must agree"):
        made.run(None, given)


def test_a_past_that_is_not_the_present_is_copied(operators: Path) -> None:
    rng = np.random.default_rng(5)
    qkv = made_up(rng, 1, 9)
    bound = Attention(operators)
    bound.step(qkv[:, :8], [7])
    before = bound.keys.copy(), bound.values.copy()
    context, keys, values = bound.unbound(qkv[:, 8:], [8])
    np.testing.assert_array_equal(bound.keys, before[0])
    np.testing.assert_array_equal(context, bound.step(qkv[:, 8:], [8]))
    np.testing.assert_array_equal(keys, bound.keys)
    np.testing.assert_array_equal(values, bound.values)
