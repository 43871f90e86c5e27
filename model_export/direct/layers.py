"""The blocks of a decoder layer, as ONNX Runtime's operators. What differs between models is in the row.

The residual stream stays split between blocks: each block returns what it adds, and the next norm adds it up
(SkipSimplifiedLayerNormalization), which saves a pass over the activations per block.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from handler import manifest
from model_export.checkpoint import TensorStore
from model_export.direct.architectures import DecoderConfig
from model_export.direct.attention import attention
from model_export.direct.graph import CONTRIB, GraphWriter
from model_export.direct.linear import LinearFormat, Matrix
from model_export.direct.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Stream:
    """The residual stream [batch, step, hidden]: `base` plus what the last block added (None at the start)."""

    base: str
    added: str | None = None


class Blocks(Protocol):
    """Writes the blocks of one model into one graph: what `build` asks for, whichever operators it takes."""

    def attention(self, stream: Stream, layer: int) -> tuple[str, str]:
        """The heads' outputs side by side [batch, step, heads × head_dim], and the stream summed up before it."""
        ...

    def attention_output(self, context: str, layer: int) -> str:
        """What attention adds to the stream."""
        ...

    def mlp(self, stream: Stream, layer: int) -> Stream:
        """The gated MLP: down(silu(gate(x)) · up(x)), added to the stream."""
        ...

    def head(self, stream: Stream, vocabulary: Vocabulary) -> None:
        """The logits."""
        ...


@dataclass(frozen=True, slots=True)
class Layers:
    """The blocks in the recipe's formats. `widened`: see `attention`."""

    graph: GraphWriter
    config: DecoderConfig
    tensors: TensorStore
    qkv: LinearFormat
    linear: LinearFormat
    widened: bool

    def attention(self, stream: Stream, layer: int) -> tuple[str, str]:
        x, base = self._norm(stream, f"model.layers.{layer}.input_layernorm")
        prefix = f"model.layers.{layer}.self_attn"
        biased = self.config.architecture.qkv_bias
        parts = [self._matrix(f"{prefix}.{part}_proj", bias=biased) for part in "qkv"]
        packed = Matrix(
            f"{prefix}.qkv_proj",
            np.concatenate([part.weight for part in parts]),
            np.concatenate([part.bias for part in parts if part.bias is not None]) if biased else None,
        )
        (qkv,) = self.qkv(self.graph, x, [packed])
        return attention(self.graph, self.config, qkv, layer, widened=self.widened), base

    def attention_output(self, context: str, layer: int) -> str:
        return self.linear(self.graph, context, [self._matrix(f"model.layers.{layer}.self_attn.o_proj")])[0]

    def mlp(self, stream: Stream, layer: int) -> Stream:
        x, base = self._norm(stream, f"model.layers.{layer}.post_attention_layernorm")
        prefix = f"model.layers.{layer}.mlp"
        matrices = [self._matrix(f"{prefix}.gate_proj"), self._matrix(f"{prefix}.up_proj")]
        gate, up = self.linear(self.graph, x, matrices)
        # SiLU is QuickGelu with alpha 1, and that is one operator instead of two.
        active = self.graph.node("QuickGelu", [gate], f"{prefix}.active", domain=CONTRIB, alpha=1.0)
        gated = self.graph.node("Mul", [active, up], f"{prefix}.gated")
        return Stream(base, self.linear(self.graph, gated, [self._matrix(f"{prefix}.down_proj")])[0])

    def head(self, stream: Stream, vocabulary: Vocabulary) -> None:
        x, _ = self._norm(stream, "model.norm")
        vocabulary.project(self.graph, x, manifest.LOGITS)

    def _norm(self, stream: Stream, name: str) -> tuple[str, str]:
        self.graph.constant(f"{name}.weight", self.tensors.load(f"{name}.weight"))
        return norm(self.graph, self.config, stream, name)

    def _matrix(self, name: str, *, bias: bool = False) -> Matrix:
        return Matrix(name, self.tensors.load(f"{name}.weight"), self.tensors.load(f"{name}.bias") if bias else None)


def norm(graph: GraphWriter, config: DecoderConfig, stream: Stream, name: str) -> tuple[str, str]:
    """RMS norm by the stored weight of the norm `name`; returns the normalised stream and the summed-up one."""
    weight, epsilon = f"{name}.weight", config.norm_epsilon
    if stream.added is None:
        inputs = [stream.base, weight]
        return graph.node("SimplifiedLayerNormalization", inputs, name, epsilon=epsilon, axis=-1), stream.base
    inputs = [stream.base, stream.added, weight]
    outputs = [name, "", "", total(name)]
    graph.nodes("SkipSimplifiedLayerNormalization", inputs, outputs, domain=CONTRIB, epsilon=epsilon)
    return name, total(name)


def total(name: str) -> str:
    """What the stream is called that the norm `name` has summed up."""
    return f"{name}.sum"
