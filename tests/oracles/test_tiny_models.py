"""Both exporters against torch on random models of a few thousand weights, one for each shape of architecture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_export import direct
from model_export.recipes import RECIPES
from tests.oracles.artefacts import TorchModel, artefact, served
from tests.oracles.tiny import random_model

# transformers' module for gpt_bigcode uses it when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

# The direct exporter's rows, and what differs within a row.
DIRECT: Mapping[str, Mapping[str, Any]] = {
    "llama": {"num_key_value_heads": 2},
    "llama, untied": {"num_key_value_heads": 4, "tie_word_embeddings": False},
    "mistral": {"num_key_value_heads": 1, "sliding_window": None, "head_dim": 16},
    "qwen2": {"num_key_value_heads": 2},
}
# What only optimum exports: learned positions, a single key head, partial rotary, ALiBi, scaled embeddings.
OPTIMUM_ONLY: Mapping[str, Mapping[str, Any]] = {
    "gpt2": {},
    "gpt_bigcode": {},
    "phi": {},
    "gemma": {"num_key_value_heads": 1, "head_dim": 16},
    "gemma3_text": {"num_key_value_heads": 1, "head_dim": 16, "sliding_window": 8},
    "bloom": {},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 64},
}
CASES = [
    *((exporter, name, facts) for exporter in ("direct", "optimum") for name, facts in DIRECT.items()),
    *(("optimum", name, facts) for name, facts in OPTIMUM_ONLY.items()),
]


@pytest.mark.parametrize(
    ("exporter", "name", "facts"), CASES, ids=[f"{exporter}: {name}" for exporter, name, _ in CASES]
)
def test_fp32_is_torch(exporter: str, name: str, facts: Mapping[str, Any], tmp_path: Path) -> None:
    model, checkpoint = random_model(name.partition(",")[0], facts)
    reference = TorchModel(model)
    exported = served(artefact(checkpoint, exporter, RECIPES["fp32"], output=tmp_path / "model"))
    ids = np.random.default_rng(0).integers(0, checkpoint.config["vocab_size"], 20).tolist()
    np.testing.assert_allclose(exported.logits(ids), reference.logits(ids), atol=1e-4, rtol=0)
    assert exported.greedy(ids, 16) == reference.greedy(ids, 16)


def test_every_row_of_the_direct_exporter_has_a_case() -> None:
    tested = {
        str(random_model(name.partition(",")[0], facts)[1].config["architectures"][0]) for name, facts in DIRECT.items()
    }
    assert tested == set(direct.architectures.ARCHITECTURES)
