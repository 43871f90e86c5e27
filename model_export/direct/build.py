"""The direct exporter: a decoder graph of fused operators straight from config and weights, in seconds, without torch.

The graph is the "shared" KV layout of `handler.manifest`: past and present are one buffer, which the caller owns.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from handler import manifest
from handler.manifest import Graph
from model_export.checkpoint import Checkpoint
from model_export.direct import architectures, calibration, kernels, linear, rope, shapes, smoothing
from model_export.direct.architectures import DecoderConfig
from model_export.direct.attention import widen
from model_export.direct.graph import GraphWriter
from model_export.direct.kernels import KernelLayers
from model_export.direct.layers import Blocks, Layers, Stream
from model_export.direct.smoothing import Smoothed
from model_export.direct.vocabulary import Vocabulary
from model_export.progress import Progress
from model_export.recipes import Recipe, get_recipe

FILE_NAME = "model.onnx"
KERNELS_FILE_NAME = "model.kernels.onnx"


def build(checkpoint: Checkpoint, recipe: Recipe, directory: Path, progress: Progress) -> Graph:
    """Writes `model.onnx` and `model.onnx.data` into `directory` and, where the kernels suit recipe and model, a second
    graph over the same data, `model.kernels.onnx`.

    Raises ExportError if the architecture, the config or the weights are not what the rows cover.
    """
    config = architectures.read(checkpoint.config)
    shapes.check(config, checkpoint.tensors)
    tensors = checkpoint.tensors
    if recipe.smoothing:
        magnitudes = _calibrate(checkpoint, config, progress)
        tensors = Smoothed(tensors, smoothing.factors(config, tensors, magnitudes))
    vocabulary = Vocabulary(config, tensors, recipe.vocabulary)
    with (
        progress.phase(f"build {recipe.name} graph", total=config.layers, unit="layer") as step,
        GraphWriter(directory / FILE_NAME) as graph,
    ):
        widened = not recipe.rounds_by_width
        qkv, linears = (linear.of(recipe, kind) for kind in (recipe.qkv, recipe.linears))
        layers = Layers(graph, config, tensors, qkv, linears, widened)
        _write(graph, config, vocabulary, layers, step, widened=widened)
        inputs, outputs = graph.save()
        suited = kernels.suit(recipe, config)
        if suited:
            second = graph.beside(KERNELS_FILE_NAME)
            _write(second, config, vocabulary, KernelLayers(second, config, recipe), lambda _: None, widened=False)
            second.save()
    return Graph(
        file=FILE_NAME,
        kv_layout="shared",
        inputs=inputs,
        outputs=outputs,
        width_free=recipe.qkv == recipe.linears == "rows",  # sums of integers have no order
        kernels=KERNELS_FILE_NAME if suited else None,
    )


def _write(
    graph: GraphWriter,
    config: DecoderConfig,
    vocabulary: Vocabulary,
    blocks: Blocks,
    step: Callable[[int], None],
    *,
    widened: bool,
) -> None:
    """The whole decoder, layer by layer."""
    _declare(graph, config, widened=widened)
    stream = Stream(vocabulary.embed(graph, manifest.INPUT_IDS))
    for layer in range(config.layers):
        stream = _layer(graph, blocks, stream, layer, last=layer == config.layers - 1)
        step(1)
    blocks.head(stream, vocabulary)


def _calibrate(checkpoint: Checkpoint, config: DecoderConfig, progress: Progress) -> calibration.Magnitudes:
    """How large the activations are in the checkpoint's fp32 graph."""
    token_ids = calibration.token_ids(checkpoint, config.window)
    with tempfile.TemporaryDirectory(prefix="calibration-") as scratch:
        graph = build(checkpoint, get_recipe("fp32"), Path(scratch), progress)
        return calibration.run(Path(scratch) / FILE_NAME, graph, token_ids, progress)


def _layer(graph: GraphWriter, blocks: Blocks, stream: Stream, layer: int, *, last: bool) -> Stream:
    context, base = blocks.attention(stream, layer)
    if last:
        # Behind the last attention nothing looks at other positions: go on with the wanted ones only.
        context, base = (
            graph.node("Gather", [whole, manifest.LOGITS_ROWS], f"{whole}.wanted", axis=1) for whole in (context, base)
        )
    return blocks.mlp(Stream(base, blocks.attention_output(context, layer)), layer)


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
        widen(graph)
    if graph.stores("rope.cos"):
        return
    cos, sin = rope.tables(
        theta=config.rope_theta, head_dim=config.head_dim, positions=config.window + 1, scaling=config.rope_scaling
    )
    graph.constant("rope.cos", cos)
    graph.constant("rope.sin", sin)
