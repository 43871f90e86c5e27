"""Which decoders the direct exporter knows, one row each, and what it reads from a config. Pure.

An architecture of the Llama family is a row of facts about how its blocks differ. A config that asks for something
that no row covers is refused by name: a graph that is nearly right is worse than none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model_export.direct import rope
from model_export.errors import ExportError


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """How one architecture differs from Llama, whose row holds the defaults."""

    name: str
    qkv_bias: bool = False


ARCHITECTURES: Mapping[str, Architecture] = {
    row.name: row
    for row in (
        Architecture(name="LlamaForCausalLM"),
        Architecture(name="MistralForCausalLM"),
        Architecture(name="Qwen2ForCausalLM", qkv_bias=True),
    )
}


# GroupQueryAttention rotates heads in vectors of this many elements.
HEAD_DIM_STEP = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderConfig:
    """A config.json, read once: plain sizes in elements, and the architecture's row."""

    architecture: Architecture
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    window: int
    norm_epsilon: float
    rope_theta: float
    rope_scaling: Mapping[str, Any]
    tied: bool


def supports(config: Mapping[str, Any]) -> bool:
    """Whether `read` would take this config."""
    try:
        read(config)
    except ExportError:
        return False
    return True


def read(config: Mapping[str, Any]) -> DecoderConfig:
    """Reads config.json's record. Raises ExportError, naming what is supported, if the graph would not be exact."""
    name = next(iter(config.get("architectures") or ["(none)"]))
    if name not in ARCHITECTURES:
        raise _refused(f"architecture {name}", ", ".join(ARCHITECTURES))
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    _check(config, scaling)
    try:
        heads = int(config["num_attention_heads"])
        kv_heads = int(config.get("num_key_value_heads") or heads)
        if heads < 1 or heads % kv_heads:
            raise ExportError(f"{heads} attention heads over {kv_heads} key-value heads: config.json is damaged")
        head_dim = int(config.get("head_dim") or config["hidden_size"] // heads)
        if head_dim % HEAD_DIM_STEP:
            raise _refused(f"heads of {head_dim} elements", f"multiples of {HEAD_DIM_STEP}")
        return DecoderConfig(
            architecture=ARCHITECTURES[name],
            layers=int(config["num_hidden_layers"]),
            hidden=int(config["hidden_size"]),
            intermediate=int(config["intermediate_size"]),
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            vocab=int(config["vocab_size"]),
            window=int(config["max_position_embeddings"]),
            norm_epsilon=float(config["rms_norm_eps"]),
            rope_theta=float(scaling.get("rope_theta") or config.get("rope_theta") or 10000.0),
            rope_scaling=scaling,
            tied=bool(config.get("tie_word_embeddings", False)),
        )
    except KeyError as error:
        raise ExportError(f"config.json of a {name} must have {error}: the checkpoint is incomplete") from None


def _check(config: Mapping[str, Any], scaling: Mapping[str, Any]) -> None:
    activation = config.get("hidden_act", "silu")
    if activation != "silu":
        raise _refused(f"hidden_act {activation}", "silu")
    kind = rope.scaling_kind(scaling)
    if kind not in rope.SCALINGS:
        raise _refused(f"rope scaling {kind}", ", ".join(rope.SCALINGS))
    for flag in ("attention_bias", "mlp_bias"):
        if config.get(flag):
            raise _refused(flag, f"{flag} false")
    if float(config.get("partial_rotary_factor") or 1.0) != 1.0:
        raise _refused("partial_rotary_factor", "1")
    window = config.get("sliding_window") if config.get("use_sliding_window", True) else None
    if window is not None and window < config.get("max_position_embeddings", window):
        raise _refused(f"a sliding window of {window} tokens", "windows as long as the context")


def _refused(what: str, supported: str) -> ExportError:
    return ExportError(
        f"the direct exporter does not support {what} (supported: {supported}): use `--exporter optimum`"
    )
