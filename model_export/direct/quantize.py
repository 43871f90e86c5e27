"""Quantizers: float32 weights [out, in] to the integers that the kernels take. Pure numpy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_export.errors import ExportError
from model_export.recipes import Blocks

MIDDLE = 128  # what stands for 0 in eight bits
_MIDDLE4 = 8  # and in four, where there is no zero point

_Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Columns:
    """One scale per output: weight ≈ values.T × scales. `values` int8 [in, out], `scales` float32 [out]."""

    values: NDArray[np.int8]
    scales: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Blocked:
    """MatMulNBits' layout, along the inputs: weight ≈ (value − zero point) × scale.

    `values` uint8 [out, blocks, bytes per block], the lower nibble first with 4 bits; `scales` float32 [out, blocks];
    `zero_points` uint8 [out, bytes], packed like the values, or None for the middle (8 bits: 128).
    """

    values: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zero_points: NDArray[np.uint8] | None


@dataclass(frozen=True, slots=True)
class OffsetBlocks:
    """Four bits in MatMulNBits' layout, with an offset of its own per block: weight ≈ (value − 8) × scale + offset.

    `values` uint8 [out, blocks, bytes per block], the lower nibble first; `scales` and `offsets` float32 [out, blocks].
    """

    values: NDArray[np.uint8]
    scales: NDArray[np.float32]
    offsets: NDArray[np.float32]


def columns(weight: _Weights) -> Columns:
    """Eight bits, of which no two neighbours add up to more than 128.

    CPUs without VNNI multiply an activation of 8 bits without a sign by a weight with one and add two neighbouring
    products in 16 bits, which saturate: 255 · 128 is the most that fits. A scale a quarter larger than that of the
    largest weight alone costs far less than half of the steps would.
    """
    magnitude = np.abs(weight)
    pairs = np.add.reduceat(magnitude, np.arange(0, weight.shape[1], 2), axis=1)
    # Two numbers that add up to less than 128 do so when they are rounded, too, or to 128.
    scales = _nonzero(np.maximum(pairs.max(axis=1) / 127.99, magnitude.max(axis=1) / 127))
    return Columns(np.rint(weight / scales[:, None]).astype(np.int8).T, scales)


def blocks(weight: _Weights, layout: Blocks) -> Blocked:
    """Blockwise integers. Raises ExportError if the inputs do not divide into blocks."""
    blocked = _blocked(weight, layout)
    return _symmetric8(blocked) if layout.symmetric else _asymmetric4(blocked)


def offset_blocks(weight: _Weights, layout: Blocks) -> OffsetBlocks:
    """Sixteen steps per block, laid as a GGUF file's Q4_1 lays them (from the least weight to the largest) or as its
    Q4_0 does (eight below zero, the largest magnitude at their end): whichever is nearer to the weights.

    What comes from such a file stays as it is. Raises ExportError if the inputs do not divide into blocks.
    """
    blocked = _blocked(weight, layout)
    low, high = blocked.min(axis=2), blocked.max(axis=2)
    between = _nonzero((high - low) / 15)
    around = _nonzero(np.where(-low > high, low, high) / -_MIDDLE4)
    laid = [(between, low + _MIDDLE4 * between), (around, np.zeros_like(around))]
    errors = [_offset_error(blocked, *steps) for steps in laid]
    scales, offsets = (np.where(errors[0] <= errors[1], first, second) for first, second in zip(*laid, strict=True))
    return OffsetBlocks(_nibbles(_steps(blocked, scales, offsets).astype(np.uint8)), scales, offsets)


def _blocked(weight: _Weights, layout: Blocks) -> _Weights:
    """[out, blocks, block size]"""
    outputs, inputs = weight.shape
    if inputs % layout.block_size:
        raise ExportError(
            f"a weight with {inputs} inputs does not divide into blocks of {layout.block_size}: use `--recipe fp32`"
        )
    return weight.reshape(outputs, -1, layout.block_size)


def _symmetric8(blocked: _Weights) -> Blocked:
    scales = _nonzero(np.abs(blocked).max(axis=2) / 127)
    values = np.rint(blocked / scales[..., None]) + MIDDLE
    return Blocked(values.astype(np.uint8), scales, None)


def _steps(blocked: _Weights, scales: _Weights, offsets: _Weights) -> _Weights:
    """Which of the sixteen steps is nearest to each weight."""
    nearest: _Weights = np.rint((blocked - offsets[..., None]) / scales[..., None]) + _MIDDLE4
    return nearest.clip(0, 15)


def _offset_error(blocked: _Weights, scales: _Weights, offsets: _Weights) -> _Weights:
    """Sum of squares per block."""
    found = (_steps(blocked, scales, offsets) - _MIDDLE4) * scales[..., None] + offsets[..., None]
    error: _Weights = np.square(found - blocked).sum(axis=2)
    return error


def _asymmetric4(blocked: _Weights) -> Blocked:
    low = np.minimum(blocked.min(axis=2), 0)
    high = np.maximum(blocked.max(axis=2), 0)
    scales = _nonzero((high - low) / 15)
    zeros = np.clip(np.rint(-low / scales), 0, 15)
    values = np.clip(np.rint(blocked / scales[..., None]) + zeros[..., None], 0, 15)
    return Blocked(_nibbles(values.astype(np.uint8)), scales, _nibbles(zeros.astype(np.uint8)))


def _nibbles(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two 4-bit values per byte along the last axis, the lower nibble first; an odd one out is padded with 0."""
    if values.shape[-1] % 2:
        values = np.concatenate([values, np.zeros_like(values[..., :1])], axis=-1)
    return (values[..., 0::2] | (values[..., 1::2] << 4)).astype(np.uint8)


def _nonzero(scales: _Weights) -> NDArray[np.float32]:
    """A column or block of zeros would divide by zero; any scale represents it."""
    return np.where(scales != 0, scales, 1).astype(np.float32)
