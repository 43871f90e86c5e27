"""The direct exporter: a decoder graph of fused operators straight from config and weights, in seconds, without torch.

The graph is the "shared" KV layout of `handler.manifest`: past and present are one buffer, which the caller owns.
"""

from pathlib import Path

from handler import manifest
from handler.manifest import Graph
from model_export.checkpoint import Checkpoint
from model_export.direct import architectures, linear, rope, shapes, vocabulary
from model_export.direct.architectures import DecoderConfig
from model_export.direct.graph import GraphWriter
from model_export.direct.layers import Layers, Stream
from model_export.progress import Progress
from model_export.recipes import Recipe

FILE_NAME = "model.onnx"


def build(checkpoint: Checkpoint, recipe: Recipe, directory: Path, progress: Progress) -> Graph:
    """Writes `model.onnx` and `model.onnx.data` into `directory`.

    Raises ExportError if the architecture, the config or the weights are not what the rows cover.
    """
    config = architectures.read(checkpoint.config)
    shapes.check(config, checkpoint.tensors)
    with (
        progress.phase(f"build {recipe.name} graph", total=config.layers, unit="layer") as step,
        GraphWriter(directory / FILE_NAME) as graph,
    ):
        _declare(graph, config)
        formats = (linear.of(recipe, kind) for kind in (recipe.qkv, recipe.linears))
        layers = Layers(graph, config, checkpoint.tensors, *formats)
        table = checkpoint.tensors.load("model.embed_tokens.weight")
        stream = Stream(vocabulary.embed(graph, manifest.INPUT_IDS, table, recipe.vocabulary))
        for layer in range(config.layers):
            stream = _layer(layers, stream, layer)
            step(1)
        final, _ = layers.norm(stream, "model.norm")
        head = table if config.tied else checkpoint.tensors.load("lm_head.weight")
        vocabulary.project(graph, final, head, recipe.vocabulary, tied=config.tied, output=manifest.LOGITS)
        inputs, outputs = graph.save()
    return Graph(file=FILE_NAME, kv_layout="shared", inputs=inputs, outputs=outputs)


def _layer(layers: Layers, stream: Stream, layer: int) -> Stream:
    prefix = f"model.layers.{layer}"
    x, base = layers.norm(stream, f"{prefix}.input_layernorm")
    context = layers.attention(x, layer)
    if layer == layers.config.layers - 1:
        # Behind the last attention nothing looks at other positions: go on with the wanted ones only.
        context, base = (
            layers.graph.node("Gather", [whole, manifest.LOGITS_ROWS], f"{whole}.wanted", axis=1)
            for whole in (context, base)
        )
    stream = Stream(base, layers.attention_output(context, layer))
    x, base = layers.norm(stream, f"{prefix}.post_attention_layernorm")
    return Stream(base, layers.mlp(x, layer))


def _declare(graph: GraphWriter, config: DecoderConfig) -> None:
    """The graph's inputs and outputs, and the rotary tables, which all layers share."""
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
    cos, sin = rope.tables(
        theta=config.rope_theta, head_dim=config.head_dim, positions=config.window, scaling=config.rope_scaling
    )
    graph.constant("rope.cos", cos)
    graph.constant("rope.sin", sin)
