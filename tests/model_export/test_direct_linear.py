"""The weight formats on this CPU's kernels, against numpy."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from model_export.direct import linear
from model_export.direct.graph import GraphWriter
from model_export.recipes import get_recipe

INPUTS, OUTPUTS = 576, 96
RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=(OUTPUTS, INPUTS)).astype(np.float32)
# Every weight of an output at the same end of the range: neighbouring products add up to the largest possible sums.
EXTREME = (np.where(np.arange(OUTPUTS) % 2, 1, -1)[:, None] * np.ones(INPUTS)).astype(np.float32)
# Large weights side by side, but never in the first and second, third and fourth, …: those are the pairs that count.
PAIRS = np.tile(np.resize(np.array([0, 1, 1, 0], np.float32), INPUTS), (OUTPUTS, 1))


@pytest.mark.parametrize("rows", [1, 2, 5, 64])
@pytest.mark.parametrize("weight", [NORMAL, EXTREME, PAIRS], ids=["normal", "all extreme", "every other pair"])
@pytest.mark.parametrize(("recipe", "tolerance"), [("int8", 0.03), ("int8-blocks", 0.03), ("int4", 0.2)])
def test_integer_products_do_not_saturate(
    tmp_path: Path, recipe: str, tolerance: float, weight: NDArray[np.float32], rows: int
) -> None:
    x = 1 + RNG.random(size=(1, rows, INPUTS)).astype(np.float32)
    found = _multiply(tmp_path, recipe, x, weight, None)
    expected = x @ weight.T
    assert np.abs(found - expected).mean() < tolerance * np.abs(x).mean() * np.sqrt(INPUTS)


def test_a_loud_row_costs_the_others_no_precision(tmp_path: Path) -> None:
    x = RNG.normal(size=(1, 8, INPUTS)).astype(np.float32)
    loud = x.copy()
    loud[0, 3] *= 1e4
    quiet_rows = [0, 1, 2, 4, 5, 6, 7]
    found = _multiply(tmp_path, "int8", loud, NORMAL, None)[0, quiet_rows]
    np.testing.assert_array_equal(found, _multiply(tmp_path, "int8", x, NORMAL, None)[0, quiet_rows])


@pytest.mark.parametrize("recipe", ["fp32", "int8", "int8-blocks", "int4"])
def test_a_row_of_zeros_is_the_bias(tmp_path: Path, recipe: str) -> None:
    bias = RNG.normal(size=OUTPUTS).astype(np.float32)
    found = _multiply(tmp_path, recipe, np.zeros((1, 3, INPUTS), np.float32), NORMAL, bias)
    np.testing.assert_allclose(found, np.broadcast_to(bias, (1, 3, OUTPUTS)), atol=1e-6)


def _multiply(
    tmp_path: Path, recipe: str, x: NDArray[np.float32], weight: NDArray[np.float32], bias: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    row = get_recipe(recipe)
    path = tmp_path / "linear.onnx"
    with GraphWriter(path) as graph:
        graph.input("x", "float32", ("batch", "step", INPUTS))
        (product,) = linear.of(row, row.linears)(graph, "x", [linear.Matrix("m", weight, bias)])
        graph.node("Identity", [product], "y")
        graph.output("y", "float32", ("batch", "step", OUTPUTS))
        graph.save()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(["y"], {"x": x})[0]
    return found
