"""Quantizers: what they store stands for the weights, to half a step."""

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize
from gguf.quants import quantize as quantize_gguf

from model_export.direct import quantize
from model_export.errors import ExportError
from model_export.recipes import Blocks


def test_columns_by_hand() -> None:
    weight = np.array([[0.56, -2.0, 1.0], [0.0, 1.27, -0.5], [0.0, 0.0, 0.0]], np.float32)
    stored = quantize.columns(weight)
    np.testing.assert_allclose(stored.scales, [0.02, 0.01, 1], rtol=1e-4)  # 128 steps for two neighbours, 127 for one
    np.testing.assert_array_equal(stored.values.T, [[28, -100, 50], [0, 127, -50], [0, 0, 0]])


def test_no_two_neighbours_saturate_sixteen_bits() -> None:
    for seed in range(20):
        weight = np.random.default_rng(seed).standard_t(3, size=(64, 577)).astype(np.float32)
        magnitude = np.abs(quantize.columns(weight).values.T.astype(int))
        assert 255 * np.add.reduceat(magnitude, np.arange(0, 577, 2), axis=1).max() == 255 * 128


def test_four_bits_by_hand() -> None:
    weight = np.zeros((1, 32), np.float32)
    weight[0, :4] = [-1, 0, 1, 6.5]
    stored = quantize.blocks(weight, Blocks(bits=4))
    np.testing.assert_allclose(stored.scales, [[0.5]])
    assert stored.zero_points is not None
    np.testing.assert_array_equal(stored.zero_points, [[2]])
    # −1 → 0, 0 → 2, 1 → 4, 6.5 → 15; the first of each pair in the lower nibble, and twos for the zeros.
    np.testing.assert_array_equal(stored.values, [[[0x20, 0xF4, *[0x22] * 14]]])


def test_blocks_with_offsets_by_hand() -> None:
    weight = np.zeros((1, 64), np.float32)
    weight[0, :32] = [1, 1.5, 4, 8.5] * 8  # from end to end: steps of 0.5, the middle one is 5
    weight[0, 32:] = [-4, 0, 0.5, 3] * 8  # the largest is eight steps below zero
    stored = quantize.offset_blocks(weight, Blocks(bits=4))
    np.testing.assert_array_equal(stored.scales, [[0.5, 0.5]])
    np.testing.assert_array_equal(stored.offsets, [[5, 0]])
    np.testing.assert_array_equal(stored.values, [[[0x10, 0xF6] * 8, [0x80, 0xE9] * 8]])


@pytest.mark.parametrize("kind", [GGMLQuantizationType.Q4_0, GGMLQuantizationType.Q4_1], ids=lambda kind: kind.name)
def test_blocks_with_offsets_keep_what_a_gguf_file_holds(kind: GGMLQuantizationType) -> None:
    weight = np.random.default_rng(1).normal(size=(48, 320)).astype(np.float32)
    weight[3, :64] = 0
    weight[4, 32:96] = 0.25
    held = dequantize(quantize_gguf(weight, kind), kind)
    np.testing.assert_allclose(_with_offsets(quantize.offset_blocks(held, Blocks(bits=4))), held, atol=2e-6)


def test_blocks_with_offsets_are_never_further_off_than_half_a_step_between_the_ends() -> None:
    weight = np.random.default_rng(2).standard_t(3, size=(64, 320)).astype(np.float32)
    stored = quantize.offset_blocks(weight, Blocks(bits=4))
    blocked = weight.reshape(64, -1, 32)
    half = (blocked.max(axis=2) - blocked.min(axis=2)) / 30
    errors = (_with_offsets(stored) - weight).reshape(blocked.shape)
    assert (np.square(errors).sum(axis=2) <= 32 * np.square(half) * 1.001).all()


@pytest.mark.parametrize("block_size", [16, 32, 64])
@pytest.mark.parametrize("bits", [4, 8])
def test_blocks_stand_for_the_weights_to_half_a_step(bits: int, block_size: int) -> None:
    weight = np.random.default_rng(0).normal(size=(6, 192)).astype(np.float32)
    weight[2, :64] = 0
    weight[3] = np.abs(weight[3]) + 5  # all on one side of zero
    stored = quantize.blocks(weight, Blocks(bits=8 if bits == 8 else 4, block_size=block_size))
    error = np.abs(_dequantized(stored, bits) - weight).reshape(6, -1, block_size)
    # With four bits the zero point is rounded too, so an end of the range may lie half a step further out.
    assert (error <= stored.scales[..., None] * (0.501 if bits == 8 else 1.001)).all()
    assert (error.reshape(6, -1)[2, :64] == 0).all()


def test_an_odd_number_of_zero_points_fills_whole_bytes() -> None:
    stored = quantize.blocks(np.ones((5, 96), np.float32), Blocks(bits=4))
    assert stored.zero_points is not None
    assert (stored.values.shape, stored.scales.shape, stored.zero_points.shape) == ((5, 3, 16), (5, 3), (5, 2))


def test_inputs_must_divide_into_blocks() -> None:
    with pytest.raises(ExportError, match="40 inputs does not divide into blocks of 32"):
        quantize.blocks(np.ones((2, 40), np.float32), Blocks(bits=8))


def _with_offsets(stored: quantize.OffsetBlocks) -> np.ndarray:
    nibbles = np.stack([stored.values & 15, stored.values >> 4], axis=-1).reshape(*stored.scales.shape, -1)
    found = (nibbles.astype(np.float32) - 8) * stored.scales[..., None] + stored.offsets[..., None]
    return found.reshape(len(found), -1)


def _dequantized(stored: quantize.Blocked, bits: int) -> np.ndarray:
    if bits == 8:
        return ((stored.values.astype(np.float32) - 128) * stored.scales[..., None]).reshape(len(stored.scales), -1)
    assert stored.zero_points is not None
    values, zeros = (
        np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:-1], -1).astype(np.float32)
        for packed in (stored.values, stored.zero_points)
    )
    centred = values - zeros[:, : stored.scales.shape[1], None]
    return (centred * stored.scales[..., None]).reshape(len(stored.scales), -1)
