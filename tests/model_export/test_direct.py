"""The direct exporter against an independent oracle: transformers' own modules on the same weights, on torch."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from handler.ort.decoder import load_decoder
from model_export import direct
from model_export.direct import architectures
from model_export.errors import ExportError
from model_export.progress import Stopwatch
from model_export.recipes import get_recipe
from tests.ort import decoders

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
DECODERS: dict[str, dict[str, Any]] = {
    "Llama, tied": {},
    "Llama, its own head": {"tie_word_embeddings": False},
    "as many KV heads as heads": {"num_key_value_heads": 4},
    "one KV head": {"num_key_value_heads": 1},
    "heads wider than the stream": {"head_dim": 32},
    "linear RoPE scaling": {"rope_scaling": {"rope_type": "linear", "factor": 4.0}},
    "llama3 RoPE scaling": {"rope_scaling": LLAMA3},
    "Mistral": {"architectures": ["MistralForCausalLM"], "sliding_window": None},
    "Mistral, a window as long as the context": {"architectures": ["MistralForCausalLM"], "sliding_window": 1024},
    "Qwen2, biases": {"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": False, "sliding_window": 32},
}


@pytest.mark.parametrize("overrides", DECODERS.values(), ids=DECODERS)
def test_prefill_and_decode_are_what_torch_says(tmp_path: Path, overrides: dict[str, Any]) -> None:
    token_ids = decoders.tokens(48)
    session = decoders.decoder(tmp_path, **overrides).open()
    found = [session.forward(token_ids[:40], 40).copy()]
    found += [session.forward([token]).copy() for token in token_ids[40:]]
    expected = decoders.torch_logits(decoders.CONFIG | overrides, token_ids)
    np.testing.assert_allclose(np.concatenate(found), expected, atol=2e-4)


@pytest.mark.parametrize(
    ("graph", "kl"),
    [("int8", 0.005), ("int8-blocks", 0.002), ("int4", 0.3), ("int8, kernels", 0.005), ("int4, kernels", 0.3)],
)
@pytest.mark.parametrize("overrides", [{}, {"tie_word_embeddings": False}], ids=["tied", "untied"])
def test_a_quantized_graph_is_near_fp32(tmp_path: Path, graph: str, kl: float, overrides: dict[str, Any]) -> None:
    token_ids = decoders.tokens(64)
    expected = _log_softmax(decoders.torch_logits(decoders.CONFIG | overrides, token_ids))
    found = _log_softmax(decoders.logits(decoders.decoder(tmp_path, graph, **overrides), token_ids))
    assert 0 < (np.exp(expected) * (expected - found)).sum(axis=1).mean() < kl


def test_the_manifest_says_what_the_graph_takes_and_gives(tmp_path: Path) -> None:
    graph = decoders.export(decoders.checkpoint(decoders.CONFIG), "fp32", tmp_path).graph
    model = onnx.load(tmp_path / graph.file, load_external_data=False)
    assert [spec.name for spec in graph.inputs] == [value.name for value in model.graph.input]
    assert [spec.name for spec in graph.outputs] == [value.name for value in model.graph.output]
    assert {spec.name: (spec.dtype, spec.shape) for spec in graph.inputs} == {
        "input_ids": ("int64", ("batch", "step")),
        "seqlens_k": ("int32", ("batch",)),
        "total_sequence_length": ("int32", ()),
        "logits_rows": ("int64", ("rows",)),
        "past_key_values.0.key": ("float32", ("batch", 2, "capacity", 16)),
        "past_key_values.0.value": ("float32", ("batch", 2, "capacity", 16)),
        "past_key_values.1.key": ("float32", ("batch", 2, "capacity", 16)),
        "past_key_values.1.value": ("float32", ("batch", 2, "capacity", 16)),
    }
    assert graph.outputs[0].model_dump() == {"name": "logits", "dtype": "float32", "shape": ("batch", "rows", 320)}


def test_a_tied_embedding_is_stored_once(tmp_path: Path) -> None:
    decoders.export(decoders.checkpoint(decoders.CONFIG), "fp32", tmp_path)
    tied = (tmp_path / "model.onnx.data").stat().st_size
    decoders.export(decoders.checkpoint(decoders.CONFIG | {"tie_word_embeddings": False}), "fp32", tmp_path)
    untied = (tmp_path / "model.onnx.data").stat().st_size
    assert untied - tied == 320 * 64 * 4


def test_several_sequences_share_a_step(tmp_path: Path) -> None:
    """The graph takes a batch, though the serving decoder runs one sequence at a time so far."""
    import onnxruntime

    manifest = decoders.export(decoders.checkpoint(decoders.CONFIG), "fp32", tmp_path)
    prompts = [decoders.tokens(6), decoders.tokens(6, seed=2)]
    empty = np.zeros((2, 2, 16, 16), np.float32)
    feeds: dict[str, Any] = {
        "input_ids": np.array(prompts),
        "seqlens_k": np.array([5, 5], np.int32),
        "total_sequence_length": np.array(6, np.int32),
        "logits_rows": np.array([5]),
    } | {spec.name: empty for spec in manifest.graph.past}
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    found = session.run(["logits"], feeds)[0][:, 0]
    model = load_decoder(tmp_path, manifest, threads=1)
    expected = [decoders.logits(model, prompt)[-1] for prompt in prompts]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    config = decoders.CONFIG | {"num_hidden_layers": 3}
    source = dataclasses.replace(decoders.checkpoint(config), tensors=decoders.checkpoint(decoders.CONFIG).tensors)
    with pytest.raises(ExportError, match=r"model\.layers\.2\."):
        decoders.export(source, "fp32", tmp_path)


def test_blocks_that_do_not_divide_the_inputs_are_refused(tmp_path: Path) -> None:
    config = decoders.CONFIG | {"hidden_size": 72, "head_dim": 16}
    with pytest.raises(ExportError, match="72 inputs does not divide into blocks of 32: use `--recipe fp32`"):
        decoders.export(decoders.checkpoint(config), "int4", tmp_path)


UNSUPPORTED: dict[str, tuple[dict[str, Any], str]] = {
    "architecture": (
        {"architectures": ["MambaForCausalLM"]},
        "architecture MambaForCausalLM (supported: LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM)",
    ),
    "no architecture": (
        {"architectures": None},
        "architecture (none) (supported: LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM)",
    ),
    "activation": ({"hidden_act": "gelu"}, "hidden_act gelu (supported: silu)"),
    "rope": (
        {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}},
        "rope scaling yarn (supported: default, linear, llama3)",
    ),
    "old rope": (
        {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
        "rope scaling dynamic (supported: default, linear, llama3)",
    ),
    "bias": ({"attention_bias": True}, "attention_bias (supported: attention_bias false)"),
    "mlp bias": ({"mlp_bias": True}, "mlp_bias (supported: mlp_bias false)"),
    "partial rope": ({"partial_rotary_factor": 0.5}, "partial_rotary_factor (supported: 1)"),
    "narrow heads": ({"head_dim": 24}, "heads of 24 elements (supported: multiples of 16)"),
    "sliding window": (
        {"architectures": ["MistralForCausalLM"], "sliding_window": 512},
        "a sliding window of 512 tokens (supported: windows as long as the context)",
    ),
}


@pytest.mark.parametrize(("overrides", "what"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_the_graph_cannot_do_is_refused_by_name(overrides: dict[str, Any], what: str) -> None:
    config = decoders.CONFIG | overrides
    assert not direct.supports(config)
    with pytest.raises(ExportError) as caught:
        architectures.read(config)
    assert str(caught.value) == f"the direct exporter does not support {what}: use `--exporter optimum`"


@pytest.mark.parametrize("overrides", DECODERS.values(), ids=DECODERS)
def test_what_it_can_do_is_supported(overrides: dict[str, Any]) -> None:
    assert direct.supports(decoders.CONFIG | overrides)


def test_an_incomplete_config_names_the_key() -> None:
    config = {key: value for key, value in decoders.CONFIG.items() if key != "rms_norm_eps"}
    with pytest.raises(ExportError, match=r"config\.json of a LlamaForCausalLM must have 'rms_norm_eps'"):
        architectures.read(config)


def _log_softmax(logits: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    found: np.ndarray[Any, np.dtype[np.float32]] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"vocab_size": 1000}, "model.embed_tokens.weight is"),
        ({"intermediate_size": 32}, "model.layers.0.mlp.gate_proj.weight is"),
        ({"num_hidden_layers": 99}, "the checkpoint lacks the tensor model.layers."),
        ({"num_key_value_heads": 3}, "attention heads over 3 key-value heads"),
        ({"num_attention_heads": 0, "num_key_value_heads": 1, "head_dim": 16}, "0 attention heads"),
    ],
    ids=["vocabulary", "inner size", "layers", "key-value heads", "no heads"],
)
def test_weights_of_another_model_than_the_config_are_refused_by_name(
    tmp_path: Path, overrides: dict[str, Any], says: str
) -> None:
    source = decoders.checkpoint(decoders.CONFIG)
    mixed = dataclasses.replace(source, config=decoders.CONFIG | overrides)
    with pytest.raises(ExportError, match=re.escape(says)):
        direct.build(mixed, get_recipe("fp32"), tmp_path, Stopwatch())
