"""Rotary position embeddings as GroupQueryAttention wants them: one cosine and one sine table. Pure."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Frequencies = NDArray[np.float64]


def tables(
    *, theta: float, head_dim: int, positions: int, scaling: Mapping[str, Any]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """cos and sin, each float32 [positions, head_dim / 2]. `scaling` is config.json's record; {} is plain RoPE."""
    frequencies = theta ** -(np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
    angles = np.outer(np.arange(positions, dtype=np.float64), SCALINGS[scaling_kind(scaling)](frequencies, scaling))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def scaling_kind(scaling: Mapping[str, Any]) -> str:
    """The record's kind; old configs call the key `type`."""
    return str(scaling.get("rope_type", scaling.get("type", "default")))


def _plain(frequencies: _Frequencies, _: Mapping[str, Any]) -> _Frequencies:
    return frequencies


def _linear(frequencies: _Frequencies, scaling: Mapping[str, Any]) -> _Frequencies:
    return frequencies / float(scaling["factor"])


def _llama3(frequencies: _Frequencies, scaling: Mapping[str, Any]) -> _Frequencies:
    """Llama 3.1: long waves are stretched by the factor, short ones kept, those between blended."""
    factor, low, high, trained = (
        float(scaling[key])
        for key in ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    )
    turns = trained * frequencies / (2 * math.pi)  # full turns within the window that the model was trained on
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return frequencies * (kept + (1 - kept) / factor)


SCALINGS: Mapping[str, Callable[[_Frequencies, Mapping[str, Any]], _Frequencies]] = {
    "default": _plain,
    "linear": _linear,
    "llama3": _llama3,
}
