"""What an export decides before it builds anything."""

from typing import Any

import pytest

from model_export.errors import ExportError
from model_export.export import context_window


@pytest.mark.parametrize(
    ("config", "wanted", "window"),
    [
        ({"max_position_embeddings": 128}, None, 128),
        ({"n_positions": 64}, None, 64),
        ({"max_seq_len": 32}, None, 32),
        ({"max_position_embeddings": 128}, 64, 64),
        ({}, 64, 64),
    ],
    ids=["llama", "gpt2", "mpt", "shorter on demand", "only on demand"],
)
def test_the_window(config: dict[str, Any], wanted: int | None, window: int) -> None:
    assert context_window(config, wanted) == window


def test_a_window_that_nobody_names_is_asked_for() -> None:
    with pytest.raises(ExportError, match="give a --context-window"):
        context_window({}, None)


def test_a_window_beyond_the_training_is_refused() -> None:
    with pytest.raises(ExportError, match="trained for 128 tokens"):
        context_window({"max_position_embeddings": 128}, 129)
