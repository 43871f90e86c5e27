"""Smoothing: channels are evened out between activations and weights, which changes no product but its rounding. Pure.

An 8-bit activation has one step for all its channels, so a loud channel costs the quiet ones their precision. Dividing
each channel by a factor, and multiplying the weights that read it by the same, moves the loudness to where it costs
less (SmoothQuant, arXiv:2211.10438). The divisions cost nothing: whatever makes the activation, a norm, the value or
the up projection, has weights of its own that take them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model_export.checkpoint import TensorStore
from model_export.direct.architectures import DecoderConfig

_Vector = NDArray[np.floating]

# Half of a channel's loudness goes to the weights. Mean KL of SmolLM2-135M at 0.35, 0.42, 0.5, 0.65 and 0.8: 0.014,
# 0.011, 0.009, 0.011 and 0.018; without smoothing 0.030.
_SHARE = 0.5
# Times or through the mean of all channels: one that calibration hardly saw must not be blown up.
_LARGEST = 32.0


@dataclass(slots=True)
class Factors:
    """What each tensor is multiplied by: `outputs` along its first axis, `inputs` along its second, by tensor name."""

    outputs: dict[str, _Vector] = field(default_factory=dict)
    inputs: dict[str, _Vector] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Smoothed:
    """A TensorStore whose tensors have been multiplied by their factors."""

    store: TensorStore
    factors: Factors

    def __contains__(self, name: str) -> bool:
        return name in self.store

    def __iter__(self) -> Iterator[str]:
        return iter(self.store)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.store.shape(name)

    def load(self, name: str) -> NDArray[np.float32]:
        tensor = self.store.load(name)
        if (factor := self.factors.outputs.get(name)) is not None:
            tensor = tensor * factor.reshape(-1, *[1] * (tensor.ndim - 1)).astype(np.float32)
        if (factor := self.factors.inputs.get(name)) is not None:
            tensor = tensor * factor.astype(np.float32)
        return tensor


def factors(config: DecoderConfig, tensors: TensorStore, magnitudes: Mapping[str, _Vector]) -> Factors:
    """The factors of every matrix in the layers. `magnitudes`: float32 [channels] of each activation that
    `calibration.run` measures, by its name in the graph."""
    found = Factors()
    for layer in range(config.layers):
        prefix = f"model.layers.{layer}"
        for norm, readers in (
            ("input_layernorm", [f"self_attn.{part}_proj" for part in "qkv"]),
            ("post_attention_layernorm", ["mlp.gate_proj", "mlp.up_proj"]),
        ):
            names = [f"{prefix}.{reader}.weight" for reader in readers]
            factor = _factor(magnitudes[f"{prefix}.{norm}"], _largest(tensors, names))
            found.outputs[f"{prefix}.{norm}.weight"] = 1 / factor
            found.inputs |= dict.fromkeys(names, factor)
        down = f"{prefix}.mlp.down_proj.weight"
        factor = _factor(magnitudes[f"{prefix}.mlp.gated"], _largest(tensors, [down]))
        found.inputs[down] = factor
        found.outputs[f"{prefix}.mlp.up_proj.weight"] = 1 / factor
        out = f"{prefix}.self_attn.o_proj.weight"
        # A channel of the values is read once for each query head of its group: the loudest of them counts.
        factor = _factor(
            *(
                _by_value(config, vector)
                for vector in (magnitudes[f"{prefix}.self_attn.context"], _largest(tensors, [out]))
            )
        )
        found.inputs[out] = np.repeat(
            factor.reshape(config.kv_heads, 1, config.head_dim), config.heads // config.kv_heads, axis=1
        ).reshape(-1)
        for kind in ("weight", "bias"):
            found.outputs[f"{prefix}.self_attn.v_proj.{kind}"] = 1 / factor
    return found


def _factor(activation: _Vector, weight: _Vector) -> _Vector:
    """What the weights of each channel are multiplied by: √(activation / weight), 1 in the geometric mean."""
    logarithm = _SHARE * np.log(_positive(activation)) - (1 - _SHARE) * np.log(_positive(weight))
    factor: _Vector = np.exp(np.clip(logarithm - logarithm.mean(), -np.log(_LARGEST), np.log(_LARGEST)))
    return factor.astype(np.float32)


def _positive(magnitude: _Vector) -> _Vector:
    """A channel that is always 0 counts as a millionth of the loudest."""
    return np.asarray(np.maximum(magnitude, magnitude.max() * 1e-6 + 1e-30), np.float32)


def _largest(tensors: TensorStore, names: Sequence[str]) -> _Vector:
    """The largest weight of each input, over all the matrices."""
    largest: _Vector = np.max([np.abs(tensors.load(name)).max(axis=0) for name in names], axis=0)
    return largest


def _by_value(config: DecoderConfig, channels: _Vector) -> _Vector:
    """float32 [heads × head_dim] → [kv_heads × head_dim]: the largest of each group of query heads."""
    largest: _Vector = channels.reshape(config.kv_heads, -1, config.head_dim).max(axis=1).reshape(-1)
    return largest
