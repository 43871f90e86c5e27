"""What a recipe does to the matrices of a traced graph, on graphs of one or two nodes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from model_export.optimum_exporter.external_data import write_model
from model_export.optimum_exporter.weights import store
from model_export.progress import Stopwatch
from model_export.recipes import get_recipe

VOCAB, HIDDEN, INNER = 48, 64, 32
RNG = np.random.default_rng(0)
TABLE = RNG.standard_normal((VOCAB, HIDDEN)).astype(np.float32)
INWARD = RNG.standard_normal((HIDDEN, INNER)).astype(np.float32)
OUTWARD = RNG.standard_normal((HIDDEN, INNER)).astype(np.float32)
BIAS = RNG.standard_normal(HIDDEN).astype(np.float32)
POSITIONS = RNG.standard_normal((16, HIDDEN)).astype(np.float32)
NARROW = RNG.standard_normal((HIDDEN, 24)).astype(np.float32)

Node = tuple[str, list[str], str, dict[str, int]]

# The path of a small model: look-ups, a product, a Gemm with its bias, a head tied by a Transpose.
NODES: Sequence[Node] = [
    ("Gather", ["table", "input_ids"], "tokens", {}),
    ("Gather", ["positions", "input_ids"], "places", {}),
    ("Add", ["tokens", "places"], "x", {}),
    ("MatMul", ["x", "inward"], "inner", {}),
    ("Squeeze", ["inner"], "flat", {}),
    ("Gemm", ["flat", "outward", "bias"], "outer", {"transB": 1}),
    ("Add", ["x", "outer"], "y", {}),
    ("Transpose", ["table"], "turned", {}),
    ("MatMul", ["y", "turned"], "logits", {}),
]
TENSORS = {"table": TABLE, "positions": POSITIONS, "inward": INWARD, "outward": OUTWARD, "bias": BIAS}


def model(nodes: Sequence[Node] = NODES, tensors: dict[str, NDArray[np.float32]] = TENSORS) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node(op, inputs, [output], **facts) for op, inputs, output, facts in nodes],
        "small",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "step"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "step", VOCAB])],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def stored(recipe: str) -> onnx.ModelProto:
    small = model()
    store(small, get_recipe(recipe), Stopwatch())
    return small


def operators(small: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in small.graph.node]


def logits(small: onnx.ModelProto, directory: Path) -> NDArray[np.float32]:
    write_model(small, directory / "model.onnx")
    session = onnxruntime.InferenceSession(directory / "model.onnx", providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(["logits"], {"input_ids": np.array([[3, 1, 4, 1, 5]])})[0]
    return found


def test_every_matrix_goes_into_blocks_and_the_position_table_stays() -> None:
    assert operators(stored("int8")) == [
        "GatherBlockQuantized",
        "Gather",
        "Add",
        "MatMulNBits",
        "Squeeze",
        "MatMulNBits",
        "Add",  # the Gemm's bias
        "Add",
        "MatMulNBits",
    ]


def test_nothing_of_a_stored_matrix_stays_in_fp32() -> None:
    left = {tensor.name for tensor in stored("int8").graph.initializer} & TENSORS.keys()
    assert left == {"positions", "bias"}


@pytest.mark.parametrize(("recipe", "bits"), [("int8", [8, 8, 8]), ("int4", [4, 4, 8])])
def test_the_head_has_the_vocabularys_bits_and_the_layers_theirs(recipe: str, bits: list[int]) -> None:
    products = [node for node in stored(recipe).graph.node if node.op_type == "MatMulNBits"]
    found = [{fact.name: helper.get_attribute_value(fact) for fact in node.attribute} for node in products]
    assert [facts["bits"] for facts in found] == bits
    assert [(facts["K"], facts["N"]) for facts in found] == [(HIDDEN, INNER), (INNER, HIDDEN), (HIDDEN, VOCAB)]


@pytest.mark.parametrize(("recipe", "error"), [("fp32", 0.0), ("int8", 0.02), ("int4", 0.2)])
def test_the_graph_computes_what_it_did(recipe: str, error: float, tmp_path: Path) -> None:
    """The error is relative to the spread of the logits; blocks of normal noise are the hardest to round."""
    x = TABLE[[3, 1, 4, 1, 5]] + POSITIONS[[3, 1, 4, 1, 5]]
    expected = (x + (x @ INWARD @ OUTWARD.T + BIAS)) @ TABLE.T
    difference = logits(stored(recipe), tmp_path)[0] - expected
    assert difference.std() <= error * expected.std() + 1e-5 * expected.std()


def test_what_does_not_divide_into_blocks_stays() -> None:
    nodes: list[Node] = [
        ("Gather", ["narrow", "input_ids"], "x", {}),
        ("MatMul", ["x", "wide"], "y", {}),
        ("MatMul", ["y", "head"], "logits", {}),
    ]
    wide, head = np.ones((24, 32), np.float32), np.ones((32, VOCAB), np.float32)
    small = model(nodes, {"narrow": NARROW, "wide": wide, "head": head})
    store(small, get_recipe("int8"), Stopwatch())
    assert operators(small) == ["Gather", "MatMul", "MatMulNBits"]


@pytest.mark.parametrize("facts", [{"transA": 1}, {"alpha": 2.0}, {"beta": 0.5}], ids=str)
def test_a_gemm_that_does_more_than_multiply_and_add_stays(facts: dict[str, int]) -> None:
    nodes: list[Node] = [("Cast", ["input_ids"], "x", {"to": TensorProto.FLOAT}), ("Gemm", ["x", "w"], "logits", facts)]
    small = model(nodes, {"w": np.ones((32, VOCAB), np.float32)})
    store(small, get_recipe("int8"), Stopwatch())
    assert operators(small) == ["Cast", "Gemm"]


def test_products_of_activations_stay() -> None:
    nodes: list[Node] = [
        ("Cast", ["input_ids"], "x", {"to": TensorProto.FLOAT}),
        ("Transpose", ["x"], "turned", {}),
        ("MatMul", ["x", "turned"], "logits", {}),
    ]
    small = model(nodes, {})
    store(small, get_recipe("int8"), Stopwatch())
    assert operators(small) == ["Cast", "Transpose", "MatMul"]


def test_equal_bytes_are_written_once(tmp_path: Path) -> None:
    """The embedding's and the head's integers are the same bytes in two shapes."""
    write_model(stored("int8"), tmp_path / "model.onnx")
    size = (tmp_path / "model.onnx.data").stat().st_size
    places = {
        entry.value
        for tensor in onnx.load(tmp_path / "model.onnx", load_external_data=False).graph.initializer
        for entry in tensor.external_data
        if entry.key == "offset" and tensor.name.startswith("table.rows.values")
    }
    assert len(places) == 1
    assert size < 4096 * 5  # pages: table, inward, outward, positions; the scales are small enough to stay inline
