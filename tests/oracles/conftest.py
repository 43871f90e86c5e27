"""torch, and the default model through both exporters, each loaded once."""

from collections.abc import Mapping

import pytest

from model_export.checkpoint import Checkpoint
from model_export.optimum_exporter.torch_model import load_model
from model_export.progress import Stopwatch
from model_export.recipes import RECIPES
from model_export.sources import load_checkpoint
from tests.oracles.artefacts import Model, TorchModel, artefact, served


@pytest.fixture(scope="session")
def checkpoint() -> Checkpoint:
    """SmolLM2-135M-Instruct."""
    return load_checkpoint("default", Stopwatch())


@pytest.fixture(scope="session")
def reference(checkpoint: Checkpoint) -> Model:
    """torch."""
    return TorchModel(load_model(checkpoint, Stopwatch()))


@pytest.fixture(scope="session")
def fp32(checkpoint: Checkpoint) -> Mapping[str, Model]:
    """Each exporter's fp32 graph."""
    return {exporter: served(artefact(checkpoint, exporter, RECIPES["fp32"])) for exporter in ("direct", "optimum")}
