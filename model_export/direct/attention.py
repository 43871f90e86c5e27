"""Attention over packed queries, keys and values, by ONNX Runtime's operator, and the row it may get beside them."""

import numpy as np
from onnx import TensorProto

from handler import manifest
from model_export.direct.architectures import DecoderConfig
from model_export.direct.graph import CONTRIB, GraphWriter

# The tokens of the step, int64 [1], and how attention's input is padded, as the operator Pad takes it: `widen` writes
# both.
_STEP, _PADS = "attention.step", "attention.pads"


def attention(graph: GraphWriter, config: DecoderConfig, qkv: str, layer: int, *, widened: bool) -> str:
    """The heads' outputs side by side [batch, step, heads × head_dim], before the output projection.

    `widened`: whether attention gets a row more than there are tokens, so that it rounds the only row of a step as one
    of several. That is worth its time where the products do so, too.
    """
    prefix = f"model.layers.{layer}.self_attn"
    if not widened:
        return _heads(graph, config, qkv, layer, (manifest.SEQLENS_K, manifest.TOTAL_SEQUENCE_LENGTH), _context(prefix))
    # The kernel rounds the only row of a step in another way than one of several, and with 8-bit activations behind it
    # that difference would grow. Nobody reads the added row's result, the tokens do not see it, and the next step
    # overwrites what it leaves in the buffers.
    padded = graph.node("Pad", [qkv, _PADS], _wider(f"{prefix}.qkv_proj"))
    counts = _wider(manifest.SEQLENS_K), _wider(manifest.TOTAL_SEQUENCE_LENGTH)
    context = _heads(graph, config, padded, layer, counts, _wider(_context(prefix)))
    start, axis = (
        graph.constant(f"attention.{name}", np.array([value], np.int64)) for name, value in (("start", 0), ("axis", 1))
    )
    return graph.node("Slice", [context, start, _STEP, axis], _context(prefix))


def widen(graph: GraphWriter) -> None:
    """What the additional row needs, once per graph: how many rows there are with it, and how to add and drop it.

    Attention takes several rows in a step of one sequence only, so sequences that share a step do without it.
    """

    def vector(name: str, *values: int) -> str:
        return graph.constant(f"attention.{name}", np.array(values, np.int64))

    shape = graph.node("Shape", [manifest.INPUT_IDS], "attention.shape")
    zero, one = vector("zero", 0), vector("one", 1)
    sequences = graph.node("Gather", [shape, zero], "attention.sequences")
    graph.node("Gather", [shape, one], _STEP)
    alone = graph.node("Equal", [sequences, one], "attention.alone")
    added = graph.node("Cast", [alone], "attention.added", to=TensorProto.INT64)
    before, after = vector("pads.before", 0, 0, 0, 0), zero
    graph.node("Concat", [before, added, after], _PADS, axis=0)
    one_dimension = graph.node("Cast", [alone], "attention.added.int32", to=TensorProto.INT32)
    scalar = graph.node("Squeeze", [one_dimension], "attention.added.scalar")
    for count in (manifest.SEQLENS_K, manifest.TOTAL_SEQUENCE_LENGTH):
        graph.node("Add", [count, scalar], _wider(count))


def _heads(
    graph: GraphWriter, config: DecoderConfig, qkv: str, layer: int, counts: tuple[str, str], context: str
) -> str:
    """The operator itself, into `context`. `counts`: the inputs that say how long the sequences are."""
    inputs = [
        qkv,
        "",  # key and value are in the packed tensor
        "",
        manifest.PAST_KEY.format(layer=layer),
        manifest.PAST_VALUE.format(layer=layer),
        *counts,
        "rope.cos",
        "rope.sin",
    ]
    present = [manifest.PRESENT_KEY.format(layer=layer), manifest.PRESENT_VALUE.format(layer=layer)]
    graph.nodes(
        "GroupQueryAttention",
        inputs,
        [context, *present],
        domain=CONTRIB,
        num_heads=config.heads,
        kv_num_heads=config.kv_heads,
        do_rotary=1,
    )
    return context


def _context(prefix: str) -> str:
    return f"{prefix}.context"


def _wider(name: str) -> str:
    """What `name` is called where the additional row is counted."""
    return f"{name}.wider"
