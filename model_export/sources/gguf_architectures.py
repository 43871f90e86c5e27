"""GGUF architectures: how each one's tensors and metadata are called in Hugging Face's world. Pure data and arithmetic.

A new architecture is a row of `ARCHITECTURES`. Names follow llama.cpp's `gguf-py/gguf/tensor_mapping.py`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_export.errors import ExportError

Metadata = Mapping[str, Any]

_MODEL_TENSORS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_LAYER_TENSORS = {
    "attn_norm.weight": "input_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_k.weight": "self_attn.k_proj.weight",
    "attn_v.weight": "self_attn.v_proj.weight",
    "attn_output.weight": "self_attn.o_proj.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
}
_QKV_BIASES = {f"attn_{part}.bias": f"self_attn.{part}_proj.bias" for part in "qkv"}
_QK_NORMS = {f"attn_{part}_norm.weight": f"self_attn.{part}_norm.weight" for part in "qk"}

ROPE_FACTORS = "rope_freqs.weight"  # llama 3's frequency scaling, as a tensor of its own
_LAYER = re.compile(r"blk\.(\d+)\.(.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufArchitecture:
    """One row. `interleaved_rope`: llama.cpp's converter reordered the rows of q and k for its rotary embedding, so
    they are put back. `config` are the keys of config.json that the architecture fixes."""

    architecture: str
    model_type: str
    layer_tensors: Mapping[str, str]
    interleaved_rope: bool = False
    config: Mapping[str, Any]

    def hugging_face_name(self, name: str) -> str | None:
        """The Hugging Face name of a GGUF tensor, or None for one that the architecture does not have."""
        if name in _MODEL_TENSORS:
            return _MODEL_TENSORS[name]
        match = _LAYER.fullmatch(name)
        if match is None or match[2] not in self.layer_tensors:
            return None
        return f"model.layers.{match[1]}.{self.layer_tensors[match[2]]}"


ARCHITECTURES: Mapping[str, GgufArchitecture] = {
    "llama": GgufArchitecture(
        architecture="LlamaForCausalLM",
        model_type="llama",
        layer_tensors=_LAYER_TENSORS,
        interleaved_rope=True,
        config={"hidden_act": "silu", "attention_bias": False, "mlp_bias": False},
    ),
    "qwen2": GgufArchitecture(
        architecture="Qwen2ForCausalLM",
        model_type="qwen2",
        layer_tensors=_LAYER_TENSORS | _QKV_BIASES,
        config={"hidden_act": "silu", "use_sliding_window": False},
    ),
    "qwen3": GgufArchitecture(
        architecture="Qwen3ForCausalLM",
        model_type="qwen3",
        layer_tensors=_LAYER_TENSORS | _QK_NORMS,
        config={"hidden_act": "silu", "attention_bias": False, "use_sliding_window": False},
    ),
}


def hugging_face_config(
    row: GgufArchitecture, metadata: Metadata, *, vocab_size: int, tied: bool, rope_factors: NDArray[np.float32] | None
) -> dict[str, Any]:
    """`config.json` as transformers would have written it. Raises ExportError for a missing key."""
    get = _reader(metadata)
    hidden, heads = get("embedding_length"), get("attention.head_count")
    head_dim = get("attention.key_length", hidden // heads)
    config = {
        "architectures": [row.architecture],
        "model_type": row.model_type,
        "vocab_size": vocab_size,
        "hidden_size": hidden,
        "intermediate_size": get("feed_forward_length"),
        "num_hidden_layers": get("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": get("attention.head_count_kv", heads),
        "head_dim": head_dim,
        "max_position_embeddings": get("context_length"),
        "rms_norm_eps": shortest(get("attention.layer_norm_rms_epsilon")),
        "rope_theta": shortest(get("rope.freq_base", 10000.0)),
        "rope_scaling": _rope_scaling(get, head_dim, rope_factors),
        "attention_dropout": 0.0,
        "tie_word_embeddings": tied,
        "bos_token_id": metadata.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": metadata.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": metadata.get("tokenizer.ggml.padding_token_id"),
        "torch_dtype": "float32",
        **row.config,
    }
    if get("rope.dimension_count", head_dim) != head_dim:
        raise ExportError("the GGUF file rotates only a part of each head, which is not supported: take another model")
    if get("expert_count", 0):
        raise ExportError("the GGUF file is a mixture of experts, which is not supported: take a dense model")
    return config


def undo_interleaved_rope(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """[heads · head_dim, …] with the pairs of each head side by side → the two halves, as Hugging Face has them."""
    pairs = rows.reshape(heads, -1, 2, *rows.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(rows.shape)


def shortest(value: float) -> float:
    """The decimal that a float32 was written from: 9.999999747378752e-06 → 1e-05."""
    return float(str(np.float32(value)))


def _reader(metadata: Metadata) -> Callable[..., Any]:
    architecture = metadata["general.architecture"]

    def get(key: str, *default: Any) -> Any:
        value = metadata.get(f"{architecture}.{key}", *default)
        if value is None:
            raise ExportError(f"the GGUF file lacks {architecture}.{key}: convert the original checkpoint again")
        return value

    return get


def _rope_scaling(get: Callable[..., Any], head_dim: int, factors: NDArray[np.float32] | None) -> dict[str, Any] | None:
    kind = get("rope.scaling.type", "none")
    if factors is not None:
        scaling = {
            "rope_type": "llama3",
            "factor": shortest(factors.max()),
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        }
        theta = shortest(get("rope.freq_base", 10000.0))
        if np.allclose(factors, _llama3_factors(head_dim, theta, scaling), rtol=1e-4):
            return scaling
        raise ExportError("the GGUF file has unusual rotary frequencies: export from the original checkpoint instead")
    if kind == "linear":
        return {"rope_type": "linear", "factor": shortest(get("rope.scaling.factor"))}
    if kind == "yarn":
        return {
            "rope_type": "yarn",
            "factor": shortest(get("rope.scaling.factor")),
            "original_max_position_embeddings": get("rope.scaling.original_context_length"),
        }
    if kind != "none":
        raise ExportError(f"the GGUF file scales its rotary embedding by {kind!r}: supported are linear and yarn")
    return None


def _llama3_factors(head_dim: int, theta: float, scaling: Mapping[str, Any]) -> NDArray[np.float64]:
    """What each rotary frequency is divided by: 1 for short wavelengths, `factor` for long ones, smooth between."""
    wavelength = 2 * np.pi * theta ** (np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
    low, high, factor = scaling["low_freq_factor"], scaling["high_freq_factor"], scaling["factor"]
    original = scaling["original_max_position_embeddings"]
    smooth = np.clip((original / wavelength - low) / (high - low), 0, 1)
    return np.asarray(1 / ((1 - smooth) / factor + smooth), dtype=np.float64)
