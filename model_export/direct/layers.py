"""The blocks of a decoder layer, as ONNX Runtime's fused operators. What differs between models is in the row.

The residual stream stays split between blocks: each block returns what it adds, and the next norm adds it up
(SkipSimplifiedLayerNormalization), which saves a pass over the activations per block.
"""

from dataclasses import dataclass

import numpy as np

from handler import manifest
from model_export.checkpoint import TensorStore
from model_export.direct.architectures import DecoderConfig
from model_export.direct.graph import CONTRIB, GraphWriter
from model_export.direct.linear import LinearFormat, Matrix


@dataclass(frozen=True, slots=True)
class Stream:
    """The residual stream [batch, step, hidden]: `base` plus what the last block added (None at the start)."""

    base: str
    added: str | None = None


# The tokens of the step, int64 [1], and how attention's input is padded, as the operator Pad takes it: `build` writes
# both.
STEP, PADS = "attention.step", "attention.pads"


def wider(name: str) -> str:
    """What `name` is called where attention's additional row is counted: see `Layers.attention`."""
    return f"{name}.wider"


@dataclass(frozen=True, slots=True)
class Layers:
    """Writes the blocks of one model into one graph.

    `widened`: whether attention gets a row more than there are tokens, so that it rounds the only row of a step as one
    of several. That is worth its time where the products do so, too.
    """

    graph: GraphWriter
    config: DecoderConfig
    tensors: TensorStore
    qkv: LinearFormat
    linear: LinearFormat
    widened: bool

    def norm(self, stream: Stream, name: str) -> tuple[str, str]:
        """RMS norm by the checkpoint's weight `name`; returns the normalised stream and the summed-up one."""
        weight = self.graph.constant(f"{name}.weight", self.tensors.load(f"{name}.weight"))
        epsilon = self.config.norm_epsilon
        if stream.added is None:
            inputs = [stream.base, weight]
            return self.graph.node("SimplifiedLayerNormalization", inputs, name, epsilon=epsilon, axis=-1), stream.base
        total = f"{name}.sum"
        inputs = [stream.base, stream.added, weight]
        outputs = [name, "", "", total]
        self.graph.nodes("SkipSimplifiedLayerNormalization", inputs, outputs, domain=CONTRIB, epsilon=epsilon)
        return name, total

    def attention(self, x: str, layer: int) -> str:
        """The heads' outputs side by side [batch, step, heads × head_dim], before the output projection."""
        prefix = f"model.layers.{layer}.self_attn"
        row = self.config.architecture
        parts = [self._matrix(f"{prefix}.{part}_proj", bias=row.qkv_bias) for part in "qkv"]
        packed = Matrix(
            f"{prefix}.qkv_proj",
            np.concatenate([part.weight for part in parts]),
            np.concatenate([part.bias for part in parts if part.bias is not None]) if row.qkv_bias else None,
        )
        (qkv,) = self.qkv(self.graph, x, [packed])
        if not self.widened:
            return self._heads(qkv, layer, manifest.SEQLENS_K, manifest.TOTAL_SEQUENCE_LENGTH, f"{prefix}.context")
        # One row more than there are tokens. The kernel rounds the only row of a step in another way than one of
        # several, and with 8-bit activations behind it that difference would grow. Nobody reads the row's result, the
        # tokens do not see it, and the next step overwrites what it leaves in the buffers.
        padded = self.graph.node("Pad", [qkv, PADS], wider(f"{prefix}.qkv_proj"))
        counts = wider(manifest.SEQLENS_K), wider(manifest.TOTAL_SEQUENCE_LENGTH)
        context = self._heads(padded, layer, *counts, wider(f"{prefix}.context"))
        start, axis = (
            self.graph.constant(f"attention.{name}", np.array([value], np.int64))
            for name, value in (("start", 0), ("axis", 1))
        )
        return self.graph.node("Slice", [context, start, STEP, axis], f"{prefix}.context")

    def _heads(self, qkv: str, layer: int, last: str, total: str, context: str) -> str:
        """The attention operator over packed queries, keys and values, into `context`."""
        inputs = [
            qkv,
            "",  # key and value are in the packed tensor
            "",
            manifest.PAST_KEY.format(layer=layer),
            manifest.PAST_VALUE.format(layer=layer),
            last,
            total,
            "rope.cos",
            "rope.sin",
        ]
        present = [manifest.PRESENT_KEY.format(layer=layer), manifest.PRESENT_VALUE.format(layer=layer)]
        self.graph.nodes(
            "GroupQueryAttention",
            inputs,
            [context, *present],
            domain=CONTRIB,
            num_heads=self.config.heads,
            kv_num_heads=self.config.kv_heads,
            do_rotary=1,
        )
        return context

    def attention_output(self, context: str, layer: int) -> str:
        """What attention adds to the stream."""
        return self.linear(self.graph, context, [self._matrix(f"model.layers.{layer}.self_attn.o_proj")])[0]

    def mlp(self, x: str, layer: int) -> str:
        """The gated MLP: down(silu(gate(x)) · up(x))."""
        prefix = f"model.layers.{layer}.mlp"
        matrices = [self._matrix(f"{prefix}.gate_proj"), self._matrix(f"{prefix}.up_proj")]
        gate, up = self.linear(self.graph, x, matrices)
        # SiLU is QuickGelu with alpha 1, and that is one operator instead of two.
        active = self.graph.node("QuickGelu", [gate], f"{prefix}.active", domain=CONTRIB, alpha=1.0)
        gated = self.graph.node("Mul", [active, up], f"{prefix}.gated")
        return self.linear(self.graph, gated, [self._matrix(f"{prefix}.down_proj")])[0]

    def _matrix(self, name: str, *, bias: bool = False) -> Matrix:
        return Matrix(name, self.tensors.load(f"{name}.weight"), self.tensors.load(f"{name}.bias") if bias else None)
