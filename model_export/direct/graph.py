"""A small ONNX graph writer: nodes in memory, weights straight to the external data file. Knows no model.

What is written is what runs: no optimiser touches the graph afterwards, neither here nor when it is loaded.
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from handler.manifest import TensorSpec
from model_export.direct.weights import WeightFile

CONTRIB = "com.microsoft"
KERNELS = "lambda_llm"  # the operators of `kernels/`
_OPSETS = {"": 18, CONTRIB: 1, KERNELS: 1}
_IR_VERSION = 10


class GraphWriter:
    """Collects one graph. Use as a context manager; `save` writes the graph file next to the data."""

    def __init__(self, path: Path, weights: WeightFile | None = None) -> None:
        """`weights`: of another graph in the same directory; None: this one has a file of its own."""
        self._path = path
        self._weights = weights or WeightFile(path.with_name(path.name + ".data"))
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[TensorSpec] = []
        self._outputs: list[TensorSpec] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._weights.close()

    def beside(self, file: str) -> "GraphWriter":
        """Another graph over the same weights, to be saved while this one's data is open."""
        return GraphWriter(self._path.with_name(file), self._weights)

    def input(self, name: str, dtype: str, shape: Sequence[int | str]) -> str:
        """Declares a graph input and returns its name."""
        self._inputs.append(TensorSpec.model_validate({"name": name, "dtype": dtype, "shape": tuple(shape)}))
        return name

    def output(self, name: str, dtype: str, shape: Sequence[int | str]) -> str:
        """Declares a graph output; some node must write `name`."""
        self._outputs.append(TensorSpec.model_validate({"name": name, "dtype": dtype, "shape": tuple(shape)}))
        return name

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Stores a weight. A name that is there already is a shared one: the first value stays."""
        self._weights.add(name, value)
        return name

    def stores(self, name: str) -> bool:
        """Whether a weight of that name has been stored."""
        return name in self._weights

    def view(self, name: str, of: str, shape: Sequence[int]) -> str:
        """A second name and shape for a stored weight's bytes: nothing is written twice."""
        self._weights.add_view(name, of, shape)
        return name

    def node(self, op: str, inputs: Sequence[str], output: str, *, domain: str = "", **attributes: Any) -> str:
        """Adds a node with one output and returns the output's name. An absent optional input is ""."""
        self.nodes(op, inputs, [output], domain=domain, **attributes)
        return output

    def nodes(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], *, domain: str = "", **attributes: Any
    ) -> None:
        """Adds a node with several outputs; an unwanted one is ""."""
        name = f"{next(filter(None, outputs))}/{op}"
        self._nodes.append(helper.make_node(op, inputs, outputs, name=name, domain=domain, **attributes))

    def save(self) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Writes the graph file, with the weights that its nodes read, and returns the declared inputs and outputs."""
        graph = helper.make_graph(
            self._nodes,
            "decoder",
            [_value_info(spec) for spec in self._inputs],
            [_value_info(spec) for spec in self._outputs],
            initializer=self._weights.tensors({name for node in self._nodes for name in node.input}),
        )
        domains = {"", *(node.domain for node in self._nodes)}
        opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items() if domain in domains]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="model_export")
        self._path.write_bytes(model.SerializeToString())
        return tuple(self._inputs), tuple(self._outputs)


def _value_info(spec: TensorSpec) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))
    return helper.make_tensor_value_info(spec.name, kind, list(spec.shape))
