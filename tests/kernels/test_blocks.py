"""Products with weights in blocks, against float64 over the weights that the blocks stand for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from tests.kernels.one_operator import EPSILON, Array, run

# Inputs: an even number of blocks, an odd one, one alone. Outputs: of whole spans of 64, and not.
SHAPES = [(64, 576), (960, 96), (16, 32), (176, 160)]
# 8-bit weights are shared in panels of eight outputs, and may leave four.
SHAPES_8 = [*SHAPES, (84, 96), (12, 64), (4, 160)]
ROWS = [1, 2, 3, 4, 5, 7, 12, 13, 14, 15, 16, 33, 64]


def offset_weights(rng: np.random.Generator, outputs: int, inputs: int) -> list[Array]:
    """Values two to a byte, scales, offsets [blocks, outputs]."""
    blocks = inputs // 32
    values = rng.integers(0, 256, (outputs, blocks, 16), np.uint8)
    scales = rng.uniform(0.01, 0.1, (outputs, blocks)).astype(np.float32)
    return [values, scales, rng.normal(0, 0.1, (blocks, outputs)).astype(np.float32)]


def dequantized(values: Array, scales: Array, offsets: Array) -> NDArray[np.float64]:
    """[outputs, inputs]"""
    nibbles = np.stack([values & 15, values >> 4], axis=-1).reshape(*values.shape[:2], 32)
    weights = (nibbles.astype(np.float64) - 8) * scales[..., None] + offsets.T[..., None]
    return weights.reshape(len(values), -1)


def eight_bit_weights(rng: np.random.Generator, outputs: int, inputs: int) -> list[Array]:
    values = rng.integers(0, 256, (outputs, inputs // 32, 32), np.uint8)
    return [values, rng.uniform(0.001, 0.01, (outputs, inputs // 32)).astype(np.float32)]


def activations(rng: np.random.Generator, rows: int, inputs: int) -> NDArray[np.float32]:
    return rng.normal(0, 1, (1, rows, inputs)).astype(np.float32)


def bound(x: Array, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """What rounding each block's activations to ±127 steps may do to each product, and float32 to its sums."""
    largest = np.abs(x[0].reshape(x.shape[1], -1, 32)).max(axis=2).astype(np.float64)
    heft = np.abs(weights).reshape(len(weights), -1, 32).sum(axis=2)
    return largest @ heft.T * (0.5 / 127) + 1e-4


@pytest.mark.parametrize(("outputs", "inputs"), SHAPES)
@pytest.mark.parametrize("rows", ROWS)
def test_4_bit_products_differ_from_exact_ones_by_the_rounding_of_activations(
    operators: Path, outputs: int, inputs: int, rows: int
) -> None:
    rng = np.random.default_rng(rows)
    x, stored = activations(rng, rows, inputs), offset_weights(rng, outputs, inputs)
    (found,) = run(operators, "OffsetBlocksLinear", [x], stored)
    weights = dequantized(*stored)
    # The offsets meet sums that are not rounded, so the rest is what counts.
    assert (np.abs(found[0] - x[0].astype(np.float64) @ weights.T) <= bound(x, weights)).all()


@pytest.mark.parametrize(("outputs", "inputs"), SHAPES_8)
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 6, 9, 16])
def test_8_bit_products_differ_from_exact_ones_by_the_rounding_of_activations(
    operators: Path, outputs: int, inputs: int, rows: int
) -> None:
    rng = np.random.default_rng(rows)
    x, (values, scales) = activations(rng, rows, inputs), eight_bit_weights(rng, outputs, inputs)
    (found,) = run(operators, "BlocksLinear", [x], [values, scales])
    weights = ((values.astype(np.float64) - 128) * scales[..., None]).reshape(outputs, inputs)
    assert (np.abs(found[0] - x[0].astype(np.float64) @ weights.T) <= bound(x, weights)).all()


def by_format(
    four: list[tuple[int, int]], eight: list[tuple[int, int]]
) -> list[tuple[str, Callable[[np.random.Generator, int, int], list[Array]], int, int]]:
    return [
        *(("OffsetBlocksLinear", offset_weights, *shape) for shape in four),
        *(("BlocksLinear", eight_bit_weights, *shape) for shape in eight),
    ]


@pytest.mark.parametrize(("op", "weights", "outputs", "inputs"), by_format(SHAPES, SHAPES_8))
@pytest.mark.parametrize("threads", [1, 2])
def test_a_row_comes_out_the_same_to_the_bit_in_any_company(
    operators: Path,
    op: str,
    weights: Callable[[np.random.Generator, int, int], list[Array]],
    outputs: int,
    inputs: int,
    threads: int,
) -> None:
    rng = np.random.default_rng(1)
    x, stored = activations(rng, 64, inputs), weights(rng, outputs, inputs)
    (together,) = run(operators, op, [x], stored, threads=threads)
    for begin, end in [(0, 1), (2, 4), (5, 7), (10, 13), (16, 20), (20, 24), (30, 35), (40, 48), (44, 60), (31, 64)]:
        (apart,) = run(operators, op, [x[:, begin:end]], stored, threads=threads)
        assert (apart == together[:, begin:end]).all(), (begin, end)


@pytest.mark.parametrize("rows", [1, 2, 5, 13])
def test_the_largest_values_do_not_overflow(operators: Path, rows: int) -> None:
    x = np.full((1, rows, 64), -3.0, np.float32)
    values = np.full((16, 2, 16), 255, np.uint8)
    ones, zeros = np.ones((16, 2), np.float32), np.zeros((2, 16), np.float32)
    (found,) = run(operators, "OffsetBlocksLinear", [x], [values, ones, zeros])
    np.testing.assert_allclose(found, np.full((1, rows, 16), 64 * 7 * -3.0), rtol=1e-6)
    for stored, weight in ((0, -128), (255, 127)):
        (found,) = run(operators, "BlocksLinear", [x], [np.full((16, 2, 32), stored, np.uint8), ones])
        np.testing.assert_allclose(found, np.full((1, rows, 16), 64 * weight * -3.0), rtol=1e-6)


@pytest.mark.parametrize("size", [0.0, 1e-29, 1e30])
def test_rows_of_any_size_are_multiplied(operators: Path, size: float) -> None:
    rng = np.random.default_rng(2)
    stored = offset_weights(rng, 16, 96)
    x = activations(rng, 15, 96)
    (unit,), (sized,) = (
        run(operators, "OffsetBlocksLinear", [x], stored),
        run(operators, "OffsetBlocksLinear", [x * np.float32(size)], stored),
    )
    np.testing.assert_allclose(sized, unit * size, rtol=1e-3, atol=size * 1e-3)


def normed(base: Array, added: Array, weight: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    total = base.astype(np.float64) + added
    return total / np.sqrt(np.square(total).mean(axis=-1, keepdims=True) + EPSILON) * weight, total


def norm_inputs(rng: np.random.Generator, rows: int, width: int) -> tuple[list[Array], Array]:
    """What is summed up, and the norm's weight."""
    inputs = [activations(rng, rows, width), activations(rng, rows, width)]
    return inputs, rng.uniform(0.5, 2, width).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 2, 9, 14])
def test_a_norm_before_a_product_is_the_product_of_the_norm(operators: Path, rows: int) -> None:
    rng = np.random.default_rng(3)
    (inputs, weight), stored = norm_inputs(rng, rows, 96), offset_weights(rng, 80, 96)
    product, total = run(operators, "NormOffsetBlocksLinear", inputs, [weight, *stored], outputs=2)
    x, expected_total = normed(*inputs, weight)
    np.testing.assert_allclose(total, expected_total, rtol=1e-6, atol=1e-6)
    weights = dequantized(*stored)
    assert (np.abs(product[0] - x[0] @ weights.T) <= bound(x, weights)).all()


@pytest.mark.parametrize("rows", [1, 2, 9, 14])
def test_the_gated_mlp_is_its_three_products(operators: Path, rows: int) -> None:
    rng = np.random.default_rng(4)
    inputs, weight = norm_inputs(rng, rows, 96)
    gate, up, down = (offset_weights(rng, *shape) for shape in ((160, 96), (160, 96), (96, 160)))
    found, total = run(operators, "NormOffsetBlocksMLP", inputs, [weight, *gate, *up, *down], outputs=2)
    # From the operators alone, each of which has an oracle of its own: the same bits but for SiLU's.
    (gated,), (raised,) = (
        run(operators, "NormOffsetBlocksLinear", inputs, [weight, *stored], outputs=2)[:1] for stored in (gate, up)
    )
    inner = (gated.astype(np.float64) / (1 + np.exp(-gated.astype(np.float64))) * raised).astype(np.float32)
    (expected,) = run(operators, "OffsetBlocksLinear", [inner], down)
    weights = dequantized(*down)
    assert (np.abs(found[0] - expected[0]) <= bound(inner, weights)).all()
    np.testing.assert_allclose(total, inputs[0] + inputs[1], rtol=1e-6)


def test_silu_is_as_near_as_float32_at_any_size(operators: Path) -> None:
    """Through an MLP whose gate hands on its input, whose other product is 1, and whose last one reads it out."""
    x = np.zeros((1, 1, 32), np.float32)
    x[0, 0, 0] = 1e4  # beside which the epsilon is nothing
    identity = np.full((32, 1, 16), 0x88, np.uint8)  # values of 0
    for gate in (-1e4, -88.0, -20.0, -1.0, 0.0, 0.5, 20.0, 90.0, 1e4):
        # A norm of √32 in channel 0, times 1 / √32: every gate reads `gate` out of its offset.
        norm = np.full(32, np.sqrt(1 / 32), np.float32)
        offsets = np.full((1, 32), gate, np.float32)
        ones, zero = np.ones((1, 32), np.float32), np.zeros((32, 1), np.float32)
        third = np.full((1, 32), 1 / 32, np.float32)
        weights = [identity, zero, offsets, identity, zero, ones, identity, zero, third]
        product, _ = run(operators, "NormOffsetBlocksMLP", [x, np.zeros_like(x)], [norm, *weights], outputs=2)
        expected = gate / (1 + np.exp(-np.float64(gate))) if gate > -700 else 0.0
        np.testing.assert_allclose(product, np.full((1, 1, 32), expected), rtol=2e-6, atol=1e-30)


@pytest.mark.parametrize("rows", [1, 13])
def test_rows_too_faint_to_divide_by_count_as_zeros(operators: Path, rows: int) -> None:
    rng = np.random.default_rng(6)
    values, scales = eight_bit_weights(rng, 16, 96)
    (found,) = run(operators, "BlocksLinear", [np.full((1, rows, 96), 1e-38, np.float32)], [values, scales])
    np.testing.assert_array_equal(found, np.zeros((1, rows, 16), np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rows", [1, 13])
def test_what_is_no_number_makes_its_row_none_and_no_other(operators: Path, rows: int, bad: float) -> None:
    rng = np.random.default_rng(7)
    x, four, eight = activations(rng, rows + 1, 96), offset_weights(rng, 16, 96), eight_bit_weights(rng, 16, 96)
    x[0, 0, 40] = bad
    for op, stored in (("OffsetBlocksLinear", four), ("BlocksLinear", eight)):
        (found,) = run(operators, op, [x], stored)
        assert np.isnan(found[0, 0]).all()
        assert np.isfinite(found[0, 1:]).all()


def test_the_mlp_gives_a_row_the_same_bits_in_any_company(operators: Path) -> None:
    rng = np.random.default_rng(8)
    inputs, weight = norm_inputs(rng, 30, 96)
    weights = [weight, *(part for shape in ((160, 96), (160, 96), (96, 160)) for part in offset_weights(rng, *shape))]
    together = run(operators, "NormOffsetBlocksMLP", inputs, weights, outputs=2)
    for begin, end in [(0, 1), (3, 5), (7, 19), (12, 25)]:
        apart = run(operators, "NormOffsetBlocksMLP", [part[:, begin:end] for part in inputs], weights, outputs=2)
        for one, all_of_them in zip(apart, together, strict=True):
            np.testing.assert_array_equal(one, all_of_them[:, begin:end])


_SPOILT: list[tuple[str, Callable[[Array, Array, Array, Array], list[Array]]]] = [
    ("OffsetBlocksLinear", lambda x, values, scales, offsets: [x[..., :-32], values, scales, offsets]),
    ("OffsetBlocksLinear", lambda x, values, scales, offsets: [x, values[:-1], scales, offsets]),
    ("OffsetBlocksLinear", lambda x, values, scales, offsets: [x, values, scales[:-1], offsets]),
    ("OffsetBlocksLinear", lambda x, values, scales, offsets: [x, values[:-8], scales[:-8], offsets[:, :-8]]),
    ("OffsetBlocksLinear", lambda x, values, scales, offsets: [x[..., :0], values[:, :0], scales[:, :0], offsets[:0]]),
    ("BlocksLinear", lambda x, values, scales, _: [x, values, scales]),
    ("BlocksLinear", lambda x, values, scales, _: [x[..., :-1], values, scales]),
]


@pytest.mark.parametrize(("op", "spoil"), _SPOILT)
def test_tensors_that_do_not_fit_are_an_error(
    operators: Path, op: str, spoil: Callable[[Array, Array, Array, Array], list[Array]]
) -> None:
    rng = np.random.default_rng(5)
    x, *stored = spoil(activations(rng, 2, 96), *offset_weights(rng, 32, 96))
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument, match="please"):
        run(operators, op, [x], stored)
