"""Facts about GGUF files as checkpoints: the weights, config and tokens are those of the original."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.manifest import Source
from model_export.errors import ExportError
from model_export.progress import Stopwatch
from model_export.sources import load_checkpoint
from model_export.sources.gguf_architectures import undo_interleaved_rope
from tests.model_export import tiny


def test_a_llama_file_gives_back_what_it_was_converted_from(tmp_path: Path) -> None:
    weights = tiny.weights()
    path = tiny.write_gguf(tmp_path / "Tiny-Q8_0.gguf", tiny.llama_gguf_tensors(weights))
    checkpoint = load_checkpoint(str(path), Stopwatch())
    assert dict(checkpoint.config) == tiny.CONFIG
    assert set(checkpoint.tensors) == set(weights)
    for name, values in weights.items():
        assert checkpoint.tensors.shape(name) == values.shape
        np.testing.assert_array_equal(checkpoint.tensors.load(name), values)
    assert checkpoint.name == "Tiny"
    assert checkpoint.source == Source(
        kind="gguf", id="Tiny-Q8_0.gguf", revision=hashlib.sha256(path.read_bytes()).hexdigest()
    )
    assert checkpoint.chat_template == tiny.CHAT_TEMPLATE
    assert checkpoint.special_tokens == {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
    assert (checkpoint.bos_token_id, checkpoint.end_token_ids) == (1, (2, 0))


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Qwen3-0.6B-Q4_K_M.gguf", "Qwen3-0.6B"),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct"),
        ("model-bf16.gguf", "model"),
        ("phi-16.gguf", "phi-16"),
    ],
)
def test_the_name_is_the_files_without_the_quantization(tmp_path: Path, file: str, name: str) -> None:
    path = tiny.write_gguf(tmp_path / file, tiny.llama_gguf_tensors(tiny.weights()))
    assert load_checkpoint(str(path), Stopwatch()).name == name


def test_undoing_the_interleaving_is_the_inverse_of_doing_it() -> None:
    rows = np.arange(16, dtype=np.float32).reshape(8, 2)  # 2 heads of 4
    np.testing.assert_array_equal(tiny.interleave_rope(rows, 2)[:4, 0], [0, 4, 2, 6])
    np.testing.assert_array_equal(undo_interleaved_rope(tiny.interleave_rope(rows, 2), 2), rows)


def test_an_untied_head_is_read_and_said_so(tmp_path: Path) -> None:
    weights = tiny.weights() | {"lm_head.weight": np.ones((len(tiny.TOKENS), tiny.HIDDEN), np.float32)}
    path = tiny.write_gguf(tmp_path / "untied.gguf", tiny.llama_gguf_tensors(weights))
    checkpoint = load_checkpoint(str(path), Stopwatch())
    assert checkpoint.config["tie_word_embeddings"] is False
    np.testing.assert_array_equal(checkpoint.tensors.load("lm_head.weight"), weights["lm_head.weight"])


@pytest.mark.parametrize(
    ("architecture", "class_", "name", "shape"),
    [
        ("qwen2", "Qwen2ForCausalLM", "model.layers.0.self_attn.q_proj.bias", (tiny.HIDDEN,)),
        ("qwen3", "Qwen3ForCausalLM", "model.layers.0.self_attn.q_norm.weight", (tiny.HEAD_DIM,)),
    ],
)
def test_a_qwen_file_keeps_its_rows_in_order(
    tmp_path: Path, architecture: str, class_: str, name: str, shape: tuple[int, ...]
) -> None:
    weights = tiny.weights() | {name: np.ones(shape, np.float32)}
    tensors = {tiny.gguf_name(key): values for key, values in weights.items()}
    path = tiny.write_gguf(tmp_path / "qwen.gguf", tensors, architecture=architecture, pre="qwen2")
    checkpoint = load_checkpoint(str(path), Stopwatch())
    assert checkpoint.config["architectures"] == [class_]
    assert set(checkpoint.tensors) == set(weights)
    for key, values in weights.items():
        np.testing.assert_array_equal(checkpoint.tensors.load(key), values)


def test_llama_3_frequencies_become_their_rope_scaling(tmp_path: Path) -> None:
    # head_dim 16, theta 1e16: wavelengths of 6, 628, 62832, … positions. Those below 8192 / 4 are kept, those above
    # 8192 are divided by the scale.
    factors = np.array([1, 1, 8, 8, 8, 8, 8, 8], np.float32)
    tensors = tiny.llama_gguf_tensors(tiny.weights()) | {"rope_freqs.weight": factors}
    path = tiny.write_gguf(tmp_path / "llama3.gguf", tensors, extra={"llama.rope.freq_base": 1e16})
    assert load_checkpoint(str(path), Stopwatch()).config["rope_scaling"] == {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }


def test_frequencies_that_no_known_scaling_gives_are_refused(tmp_path: Path) -> None:
    tensors = tiny.llama_gguf_tensors(tiny.weights()) | {"rope_freqs.weight": np.arange(1, 9, dtype=np.float32)}
    path = tiny.write_gguf(tmp_path / "odd.gguf", tensors)
    with pytest.raises(ExportError, match="unusual rotary frequencies: export from the original checkpoint"):
        load_checkpoint(str(path), Stopwatch())


def test_linear_scaling_is_kept(tmp_path: Path) -> None:
    extra = {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 2.0}
    path = tiny.write_gguf(tmp_path / "linear.gguf", tiny.llama_gguf_tensors(tiny.weights()), extra=extra)
    config = load_checkpoint(str(path), Stopwatch()).config
    assert config["rope_scaling"] == {"rope_type": "linear", "factor": 2.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "mamba"}, "GGUF architecture 'mamba' is not supported, known are llama, qwen2, qwen3"),
        ({"pre": "tekken"}, "names the pre-tokenizer 'tekken', known are gpt-2, smollm"),
        ({"extra": {"llama.expert_count": 8}}, "mixture of experts, which is not supported"),
        ({"extra": {"llama.rope.dimension_count": 8}}, "rotates only a part of each head"),
        ({"extra": {"llama.rope.scaling.type": "longrope"}}, "scales its rotary embedding by 'longrope'"),
    ],
    ids=["architecture", "pre-tokenizer", "experts", "partial rope", "rope scaling"],
)
def test_what_cannot_be_converted_exactly_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tiny.write_gguf(tmp_path / "odd.gguf", tiny.llama_gguf_tensors(tiny.weights()), **change)
    with pytest.raises(ExportError, match=message):
        load_checkpoint(str(path), Stopwatch())


def test_a_tensor_that_the_architecture_does_not_have_is_refused(tmp_path: Path) -> None:
    tensors = tiny.llama_gguf_tensors(tiny.weights()) | {"blk.0.attn_q.bias": np.ones(tiny.HIDDEN, np.float32)}
    path = tiny.write_gguf(tmp_path / "biased.gguf", tensors)
    with pytest.raises(ExportError, match=r"holds blk\.0\.attn_q\.bias, which llama models do not have"):
        load_checkpoint(str(path), Stopwatch())


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    tensors = tiny.llama_gguf_tensors(tiny.weights())
    del tensors["blk.1.ffn_up.weight"]
    checkpoint = load_checkpoint(str(tiny.write_gguf(tmp_path / "holey.gguf", tensors)), Stopwatch())
    with pytest.raises(ExportError, match=r"lacks model\.layers\.1\.mlp\.up_proj\.weight: download it again"):
        checkpoint.tensors.load("model.layers.1.mlp.up_proj.weight")


def test_weights_that_are_not_numbers_are_damage(tmp_path: Path) -> None:
    tensors = tiny.llama_gguf_tensors(tiny.weights())
    tensors["output_norm.weight"][3] = np.nan
    checkpoint = load_checkpoint(str(tiny.write_gguf(tmp_path / "nan.gguf", tensors)), Stopwatch())
    with pytest.raises(ExportError, match=r"damaged \(model\.norm\.weight holds values that are not finite\)"):
        checkpoint.tensors.load("model.norm.weight")


def test_damage_anywhere_in_the_header_is_one_line(tmp_path: Path) -> None:
    whole = tiny.write_gguf(tmp_path / "tiny.gguf", tiny.llama_gguf_tensors(tiny.weights())).read_bytes()
    damaged = tmp_path / "damaged.gguf"
    messages = []
    for position in range(4, 9000, 37):
        damaged.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        try:
            checkpoint = load_checkpoint(str(damaged), Stopwatch())
            for name in checkpoint.tensors:
                checkpoint.tensors.load(name)
        except ExportError as error:
            messages.append(str(error))
    assert not [message for message in messages if "\n" in message]
    assert len(messages) > 100  # the rest hits texts, which may be any
