"""The direct exporter: a decoder graph of fused operators straight from config and weights, in seconds, without torch.

The graph is the "shared" KV layout of `handler.manifest`: past and present are one buffer, which the caller owns.
"""

import tempfile
from pathlib import Path

import numpy as np
from onnx import TensorProto

from handler import manifest
from handler.manifest import Graph
from model_export.checkpoint import Checkpoint
from model_export.direct import architectures, calibration, layers, linear, rope, shapes, smoothing, vocabulary
from model_export.direct.architectures import DecoderConfig
from model_export.direct.graph import GraphWriter
from model_export.direct.layers import Layers, Stream
from model_export.direct.smoothing import Smoothed
from model_export.progress import Progress
from model_export.recipes import Recipe, get_recipe

FILE_NAME = "model.onnx"


def build(checkpoint: Checkpoint, recipe: Recipe, directory: Path, progress: Progress) -> Graph:
    """Writes `model.onnx` and `model.onnx.data` into `directory`.

    Raises ExportError if the architecture, the config or the weights are not what the rows cover.
    """
    config = architectures.read(checkpoint.config)
    shapes.check(config, checkpoint.tensors)
    tensors = checkpoint.tensors
    if recipe.smoothing:
        magnitudes = _calibrate(checkpoint, config, progress)
        tensors = Smoothed(tensors, smoothing.factors(config, tensors, magnitudes))
    with (
        progress.phase(f"build {recipe.name} graph", total=config.layers, unit="layer") as step,
        GraphWriter(directory / FILE_NAME) as graph,
    ):
        widened = not recipe.rounds_by_width
        _declare(graph, config, widened=widened)
        qkv, linears = (linear.of(recipe, kind) for kind in (recipe.qkv, recipe.linears))
        blocks = Layers(graph, config, tensors, qkv, linears, widened)
        table = tensors.load("model.embed_tokens.weight")
        stream = Stream(vocabulary.embed(graph, manifest.INPUT_IDS, table, recipe.vocabulary))
        for layer in range(config.layers):
            stream = _layer(blocks, stream, layer)
            step(1)
        final, _ = blocks.norm(stream, "model.norm")
        head = table if config.tied else tensors.load("lm_head.weight")
        vocabulary.project(graph, final, head, recipe.vocabulary, tied=config.tied, output=manifest.LOGITS)
        inputs, outputs = graph.save()
    return Graph(
        file=FILE_NAME,
        kv_layout="shared",
        inputs=inputs,
        outputs=outputs,
        width_free=recipe.qkv == recipe.linears == "rows",  # sums of integers have no order
    )


def _calibrate(checkpoint: Checkpoint, config: DecoderConfig, progress: Progress) -> calibration.Magnitudes:
    """How large the activations are in the checkpoint's fp32 graph."""
    token_ids = calibration.token_ids(checkpoint, config.window)
    with tempfile.TemporaryDirectory(prefix="calibration-") as scratch:
        graph = build(checkpoint, get_recipe("fp32"), Path(scratch), progress)
        return calibration.run(Path(scratch) / FILE_NAME, graph, token_ids, progress)


def _layer(blocks: Layers, stream: Stream, layer: int) -> Stream:
    prefix = f"model.layers.{layer}"
    x, base = blocks.norm(stream, f"{prefix}.input_layernorm")
    context = blocks.attention(x, layer)
    if layer == blocks.config.layers - 1:
        # Behind the last attention nothing looks at other positions: go on with the wanted ones only.
        context, base = (
            blocks.graph.node("Gather", [whole, manifest.LOGITS_ROWS], f"{whole}.wanted", axis=1)
            for whole in (context, base)
        )
    stream = Stream(base, blocks.attention_output(context, layer))
    x, base = blocks.norm(stream, f"{prefix}.post_attention_layernorm")
    return Stream(base, blocks.mlp(x, layer))


def _declare(graph: GraphWriter, config: DecoderConfig, *, widened: bool) -> None:
    """The graph's inputs and outputs, and what all layers share: the counts and the rotary tables."""
    graph.input(manifest.INPUT_IDS, "int64", ("batch", "step"))
    graph.input(manifest.SEQLENS_K, "int32", ("batch",))
    graph.input(manifest.TOTAL_SEQUENCE_LENGTH, "int32", ())
    graph.input(manifest.LOGITS_ROWS, "int64", ("rows",))
    graph.output(manifest.LOGITS, "float32", ("batch", "rows", config.vocab))
    kv_shape = ("batch", config.kv_heads, "capacity", config.head_dim)
    for layer in range(config.layers):
        for past in (manifest.PAST_KEY, manifest.PAST_VALUE):
            graph.input(past.format(layer=layer), "float32", kv_shape)
        for present in (manifest.PRESENT_KEY, manifest.PRESENT_VALUE):
            graph.output(present.format(layer=layer), "float32", kv_shape)
    if widened:
        _widen(graph)
    cos, sin = rope.tables(
        theta=config.rope_theta, head_dim=config.head_dim, positions=config.window + 1, scaling=config.rope_scaling
    )
    graph.constant("rope.cos", cos)
    graph.constant("rope.sin", sin)


def _widen(graph: GraphWriter) -> None:
    """What `Layers.attention` needs for its additional row: how many there are with it, and how to add and drop it.

    Attention takes several rows in a step of one sequence only, so sequences that share a step do without it.
    """

    def vector(name: str, *values: int) -> str:
        return graph.constant(f"attention.{name}", np.array(values, np.int64))

    shape = graph.node("Shape", [manifest.INPUT_IDS], "attention.shape")
    zero, one = vector("zero", 0), vector("one", 1)
    sequences = graph.node("Gather", [shape, zero], "attention.sequences")
    graph.node("Gather", [shape, one], layers.STEP)
    alone = graph.node("Equal", [sequences, one], "attention.alone")
    added = graph.node("Cast", [alone], "attention.added", to=TensorProto.INT64)
    before, after = vector("pads.before", 0, 0, 0, 0), zero
    graph.node("Concat", [before, added, after], layers.PADS, axis=0)
    one_dimension = graph.node("Cast", [alone], "attention.added.int32", to=TensorProto.INT32)
    scalar = graph.node("Squeeze", [one_dimension], "attention.added.scalar")
    for count in (manifest.SEQLENS_K, manifest.TOTAL_SEQUENCE_LENGTH):
        graph.node("Add", [count, scalar], layers.wider(count))
