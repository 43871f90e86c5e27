"""Rotary tables against transformers' own."""

from typing import Any

import numpy as np
import pytest

from model_export.direct import rope

SCALINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "default": {"rope_type": "default"},
    "linear": {"rope_type": "linear", "factor": 4.0},
    "llama3": {
        "rope_type": "llama3",
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
}


@pytest.mark.parametrize("scaling", SCALINGS.values(), ids=SCALINGS)
def test_tables_are_those_of_transformers(scaling: dict[str, Any]) -> None:
    import torch
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    config = LlamaConfig(
        hidden_size=256,
        num_attention_heads=4,
        max_position_embeddings=131072,
        rope_theta=500000.0,
        rope_scaling=scaling or None,
    )
    positions = 300
    expected = LlamaRotaryEmbedding(config)(torch.zeros(1), torch.arange(positions)[None])
    found = rope.tables(theta=500000.0, head_dim=64, positions=positions, scaling=scaling)
    for table, theirs in zip(found, expected, strict=True):
        assert table.dtype == np.float32
        np.testing.assert_allclose(table, theirs[0, :, :32].numpy(), atol=2e-5)


def test_position_zero_turns_nothing() -> None:
    cos, sin = rope.tables(theta=10000.0, head_dim=8, positions=2, scaling={})
    np.testing.assert_array_equal(cos[0], [1, 1, 1, 1])
    np.testing.assert_array_equal(sin[0], [0, 0, 0, 0])
    np.testing.assert_allclose(sin[1], np.sin([1, 0.1, 0.01, 0.001]), rtol=1e-6)
