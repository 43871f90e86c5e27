"""The blocks of a decoder layer, as the operators of `kernels/`: a second graph over the weights that the first stored.

An operator takes the weights as they lie in the file, and does with them what the first graph takes many operators for:
sum up the stream, norm it, round it, and multiply. All of them give a row the same bits in whatever step it comes.
Nothing is loaded or quantised here: weights are named.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from handler import manifest
from model_export.direct.architectures import DecoderConfig
from model_export.direct.graph import KERNELS, GraphWriter
from model_export.direct.layers import Stream, norm, total
from model_export.direct.vocabulary import Vocabulary
from model_export.recipes import Blocks, Format, Recipe

_HEAD = Blocks(bits=8)  # the format of the vocabulary that there is an operator for
_HEAD_STEP = 4  # outputs that it computes at once
_MOST_INPUTS = 16384  # of a row, for which the operators have room
_WIDEST_HEAD, _MOST_SHARING = 256, 96  # elements of one of attention's, and how many may share their keys


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kernels:
    """The operators of one format: how their names begin, which tensors of a matrix they read, and what a matrix's
    outputs and inputs must be multiples of."""

    called: str
    tensors: Sequence[str]
    outputs: int
    inputs: int


_KERNELS: Mapping[Format, _Kernels] = {
    "rows": _Kernels(called="Rows", tensors=("weight", "scales"), outputs=8, inputs=8),
    "offset blocks": _Kernels(
        called="OffsetBlocks", tensors=("weight", "scales", "offsets"), outputs=16, inputs=_HEAD.block_size
    ),
}


def suit(recipe: Recipe, config: DecoderConfig) -> bool:
    """Whether there are operators for the recipe's formats, and these for matrices of the model's shapes."""
    kernels = _KERNELS.get(recipe.linears)
    if kernels is None or recipe.qkv != recipe.linears or recipe.vocabulary != _HEAD:
        return False
    matrices = all(
        outputs % kernels.outputs == 0 and inputs % kernels.inputs == 0 and inputs <= _MOST_INPUTS
        for outputs, inputs in _shapes(config)
    )
    head = config.vocab % _HEAD_STEP == 0 and config.hidden % _HEAD.block_size == 0
    heads = config.head_dim <= _WIDEST_HEAD and config.heads <= _MOST_SHARING * config.kv_heads
    return matrices and head and heads


def _shapes(config: DecoderConfig) -> Iterator[tuple[int, int]]:
    """Outputs and inputs of a layer's matrices."""
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    yield queries + 2 * keys, config.hidden
    yield config.hidden, queries
    yield config.intermediate, config.hidden
    yield config.hidden, config.intermediate


class KernelLayers:
    """The blocks of a model that `suit` has been asked about."""

    def __init__(self, graph: GraphWriter, config: DecoderConfig, recipe: Recipe) -> None:
        self._graph = graph
        self._config = config
        self._kernels = _KERNELS[recipe.linears]

    def attention(self, stream: Stream, layer: int) -> tuple[str, str]:
        prefix = f"model.layers.{layer}"
        qkv, base = self._normed_product(stream, f"{prefix}.input_layernorm", f"{prefix}.self_attn.qkv_proj")
        if self._config.architecture.qkv_bias:
            qkv = self._graph.node("Add", [qkv, f"{prefix}.self_attn.qkv_proj.bias"], f"{qkv}.biased")
        return self._attend(qkv, layer), base

    def attention_output(self, context: str, layer: int) -> str:
        return self._product(context, f"model.layers.{layer}.self_attn.o_proj")

    def mlp(self, stream: Stream, layer: int) -> Stream:
        prefix = f"model.layers.{layer}"
        called, mlp = f"{prefix}.post_attention_layernorm", f"{prefix}.mlp"
        weights = [name for part in ("gate", "up", "down") for name in self._weights(f"{mlp}.{part}_proj")]
        added, base = self._normed("MLP", stream, called, weights, mlp)
        return Stream(base, added)

    def head(self, stream: Stream, vocabulary: Vocabulary) -> None:
        x, _ = norm(self._graph, self._config, stream, "model.norm")
        self._graph.node("BlocksLinear", [x, *vocabulary.head(self._graph)], manifest.LOGITS, domain=KERNELS)

    def _attend(self, qkv: str, layer: int) -> str:
        context = f"model.layers.{layer}.self_attn.context"
        past = [name.format(layer=layer) for name in (manifest.PAST_KEY, manifest.PAST_VALUE)]
        present = [name.format(layer=layer) for name in (manifest.PRESENT_KEY, manifest.PRESENT_VALUE)]
        inputs = [qkv, *past, manifest.SEQLENS_K, "rope.cos", "rope.sin"]
        heads = {"num_heads": self._config.heads, "kv_num_heads": self._config.kv_heads}
        self._graph.nodes("GroupedAttention", inputs, [context, *present], domain=KERNELS, **heads)
        return context

    def _normed_product(self, stream: Stream, called: str, matrix: str) -> tuple[str, str]:
        """The product with the normed stream, and the stream summed up."""
        if stream.added is None:
            x, base = norm(self._graph, self._config, stream, called)
            return self._product(x, matrix), base
        return self._normed("Linear", stream, called, self._weights(matrix), matrix)

    def _normed(self, kind: str, stream: Stream, called: str, weights: Sequence[str], name: str) -> tuple[str, str]:
        outputs = f"{name}.product", total(called)
        inputs = [stream.base, stream.added or "", f"{called}.weight", *weights]
        operator = f"Norm{self._kernels.called}{kind}"
        self._graph.nodes(operator, inputs, outputs, domain=KERNELS, epsilon=self._config.norm_epsilon)
        return outputs

    def _product(self, x: str, matrix: str) -> str:
        inputs = [x, *self._weights(matrix)]
        return self._graph.node(f"{self._kernels.called}Linear", inputs, f"{matrix}.product", domain=KERNELS)

    def _weights(self, matrix: str) -> list[str]:
        return [f"{matrix}.{tensor}" for tensor in self._kernels.tensors]
