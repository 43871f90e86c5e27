"""Smoothing changes no product, only how it is rounded."""

from pathlib import Path

import numpy as np
import pytest

from handler.ort.decoder import load_decoder
from model_export.direct import architectures, calibration, smoothing
from model_export.direct.smoothing import Smoothed
from model_export.errors import ExportError
from tests.ort import decoders

CONFIGS = {
    "Llama": {},
    "as many KV heads as heads": {"num_key_value_heads": 4},
    "Qwen2, biases": {"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": False},
}


@pytest.mark.parametrize("overrides", CONFIGS.values(), ids=CONFIGS)
def test_a_smoothed_checkpoint_is_the_same_model(tmp_path: Path, overrides: dict[str, object]) -> None:
    source = decoders.checkpoint(decoders.CONFIG | overrides)
    config = architectures.read(source.config)
    random = np.random.default_rng(0)
    widths = {"input_layernorm": 64, "post_attention_layernorm": 64, "self_attn.context": 64, "mlp.gated": 96}
    magnitudes = {
        f"model.layers.{layer}.{name}": np.exp(random.normal(size=width)).astype(np.float32)
        for layer in range(config.layers)
        for name, width in widths.items()
    }
    smoothed = Smoothed(source.tensors, smoothing.factors(config, source.tensors, magnitudes))
    assert any((smoothed.load(name) != source.tensors.load(name)).any() for name in source.tensors)
    found = _logits(tmp_path / "smoothed", smoothed, overrides)
    expected = _logits(tmp_path / "plain", source.tensors, overrides)
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_a_channel_is_divided_by_the_root_of_its_loudness_over_that_of_its_weights() -> None:
    loudness = np.ones(96, np.float32)
    loudness[3] = 16
    factor = factors_of(loudness).inputs["model.layers.0.mlp.down_proj.weight"]
    tensors = decoders.checkpoint(decoders.CONFIG).tensors
    weights = np.abs(tensors.load("model.layers.0.mlp.down_proj.weight")).max(axis=0)
    expected = np.sqrt(loudness / weights)
    np.testing.assert_allclose(factor, expected / np.exp(np.log(expected).mean()), rtol=1e-5)


def test_a_channel_that_calibration_never_saw_is_not_blown_up() -> None:
    silent = np.ones(96, np.float32)
    silent[5] = 0
    assert factors_of(silent).outputs["model.layers.1.mlp.up_proj.weight"][5] == pytest.approx(32)


def test_calibration_measures_what_the_linears_read(tmp_path: Path) -> None:
    source = decoders.checkpoint(decoders.CONFIG)
    graph = decoders.export(source, "fp32", tmp_path).graph
    magnitudes = calibration.run(tmp_path / "model.onnx", graph, [decoders.tokens(30)], decoders.Stopwatch())
    assert {name: value.shape for name, value in magnitudes.items()} == {
        f"model.layers.{layer}.{name}": (96,) if name == "mlp.gated" else (64,)
        for layer in range(2)
        for name in (*smoothing_inputs(), "mlp.gated")
    }
    # What a norm with weights w leaves has the root mean square |w| over all its channels together.
    weight = source.tensors.load("model.layers.0.input_layernorm.weight")
    normal = magnitudes["model.layers.0.input_layernorm"] / np.abs(weight)
    assert np.sqrt(np.square(normal).mean()) == pytest.approx(1, rel=1e-3)


def test_a_tokenizer_that_cannot_be_read_is_an_error_of_the_source() -> None:
    source = decoders.checkpoint(decoders.CONFIG, tokenizer_json="{}")
    with pytest.raises(ExportError, match=r"^tokenizer and chat template cannot put a plain conversation \("):
        calibration.token_ids(source, 64)


def test_texts_are_cut_to_the_window() -> None:
    texts = calibration.token_ids(decoders.checkpoint(decoders.CONFIG), 20)
    assert {len(text) for text in texts} == {20}


def factors_of(gated: np.ndarray) -> smoothing.Factors:
    """The factors where the gated activations are as loud as that, and all others of loudness 1."""
    source = decoders.checkpoint(decoders.CONFIG)
    magnitudes = {f"model.layers.{layer}.mlp.gated": gated for layer in range(2)}
    for layer in range(2):
        magnitudes |= {f"model.layers.{layer}.{name}": np.ones(64, np.float32) for name in smoothing_inputs()}
    return smoothing.factors(architectures.read(source.config), source.tensors, magnitudes)


def smoothing_inputs() -> tuple[str, ...]:
    return "input_layernorm", "post_attention_layernorm", "self_attn.context"


def _logits(directory: Path, tensors: object, overrides: dict[str, object]) -> np.ndarray:
    import dataclasses

    directory.mkdir()
    source = dataclasses.replace(decoders.checkpoint(decoders.CONFIG | overrides), tensors=tensors)
    model = load_decoder(directory, decoders.export(source, "fp32", directory), threads=1)
    return decoders.logits(model, decoders.tokens(48))
