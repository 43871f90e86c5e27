"""What every processor has to agree on: linears with worst-case weights, tiny decoders, and the fp32 graph's opinion.

Written once, by this machine, so that all processors run the same files.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handler.manifest import ModelManifest
from handler.ort.decoder import load_decoder
from model_export.direct import linear
from model_export.direct.graph import CONTRIB, GraphWriter
from model_export.direct.quantize import MIDDLE
from model_export.recipes import get_recipe
from tests.emulated.probe import CONTROL
from tests.model_export.test_direct_linear import EXTREME, INPUTS, NORMAL, OUTPUTS, PAIRS
from tests.ort import decoders

RECIPES = ("fp32", "int8", "int8-blocks", "int4")
# Wider than the tests' decoder, so that whole vectors and a rest of every kernel are in it.
CONFIG = decoders.CONFIG | {"hidden_size": 256, "intermediate_size": 544, "num_attention_heads": 8}
_TOKENS = 60
_ROWS = 64


def write(directory: Path) -> None:
    """`linears/WEIGHTS-RECIPE/`, `decoders/RECIPE/`, and as .npy files what goes in and what fp32 makes of it."""
    rng = np.random.default_rng(0)
    np.save(directory / "x.npy", 1 + rng.random(size=(1, _ROWS, INPUTS)).astype(np.float32))
    for name, weight in (("normal", NORMAL), ("extreme", EXTREME), ("pairs", PAIRS)):
        for recipe in RECIPES:
            _linear(_made(directory / "linears" / f"{name}-{recipe}"), recipe, weight)
    _control(_made(directory / "linears" / CONTROL))
    for recipe in RECIPES:
        target = _made(directory / "decoders" / recipe)
        decoders.export(decoders.checkpoint(CONFIG), recipe, target).write(target)
    token_ids = decoders.tokens(_TOKENS)
    np.save(directory / "token_ids.npy", np.array(token_ids))
    reference = directory / "decoders" / "fp32"
    model = load_decoder(reference, ModelManifest.read(reference), threads=1)
    np.save(directory / "logits.npy", decoders.logits(model, token_ids))


def _linear(directory: Path, recipe: str, weight: NDArray[np.float32]) -> None:
    """As the recipe stores its linears."""
    row = get_recipe(recipe)
    with GraphWriter(directory / "linear.onnx") as graph:
        graph.input("x", "float32", ("batch", "step", INPUTS))
        (product,) = linear.of(row, row.linears)(graph, "x", [linear.Matrix("m", weight)])
        _finish(graph, product)
    np.save(directory / "weight.npy", weight)


def _control(directory: Path) -> None:
    """What int8 does not do: all weights at the end of the range, where two products do not fit into 16 bits."""
    with GraphWriter(directory / "linear.onnx") as graph:
        graph.input("x", "float32", ("batch", "step", INPUTS))
        step = graph.constant("step", np.array(2 / 127, np.float32))
        middle = graph.constant("middle", np.array(MIDDLE, np.uint8))
        integers = graph.node("QuantizeLinear", ["x", step, middle], "integers")
        weight = graph.constant("weight", np.full((INPUTS, OUTPUTS), 127, np.int8))
        scales = graph.constant("scales", np.full(OUTPUTS, 1 / 127, np.float32))
        inputs = [integers, weight, step, scales, middle]
        _finish(graph, graph.node("MatMulIntegerToFloat", inputs, "product", domain=CONTRIB))
    np.save(directory / "weight.npy", np.ones((OUTPUTS, INPUTS), np.float32))


def _finish(graph: GraphWriter, product: str) -> None:
    graph.node("Identity", [product], "y")
    graph.output("y", "float32", ("batch", "step", OUTPUTS))
    graph.save()


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory
