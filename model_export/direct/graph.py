"""A small ONNX graph writer: nodes in memory, weights straight to the external data file. Knows no model.

Weights go to disk as they arrive, so an export needs the memory of its largest tensor, not of the model. What is
written is what runs: no optimiser touches the graph afterwards, neither here nor when it is loaded.
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from handler.manifest import TensorSpec

CONTRIB = "com.microsoft"
_OPSETS = {"": 18, CONTRIB: 1}
_IR_VERSION = 10
_ALIGNMENT = 4096  # bytes: a page, so that onnxruntime can map each tensor in place
_INLINE_BYTES = 1024  # smaller constants stay in the graph file, where shape inference can see them

_Tensor = NDArray[Any]


class GraphWriter:
    """Collects one graph. Use as a context manager; `save` writes the graph file next to the data."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data_name = path.name + ".data"
        self._data = path.with_name(self._data_name).open("wb")
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._names: set[str] = set()
        self._inputs: list[TensorSpec] = []
        self._outputs: list[TensorSpec] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._data.close()

    def input(self, name: str, dtype: str, shape: Sequence[int | str]) -> str:
        """Declares a graph input and returns its name."""
        self._inputs.append(TensorSpec.model_validate({"name": name, "dtype": dtype, "shape": tuple(shape)}))
        return name

    def output(self, name: str, dtype: str, shape: Sequence[int | str]) -> str:
        """Declares a graph output; some node must write `name`."""
        self._outputs.append(TensorSpec.model_validate({"name": name, "dtype": dtype, "shape": tuple(shape)}))
        return name

    def constant(self, name: str, value: _Tensor) -> str:
        """Stores a weight. A name that is there already is a shared one: the first value stays."""
        if name in self._names:
            return name
        self._names.add(name)
        value = np.ascontiguousarray(value)
        tensor = TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(value.dtype), dims=value.shape)
        if value.nbytes < _INLINE_BYTES:
            tensor.raw_data = value.tobytes()
        else:
            self._data.write(bytes(-self._data.tell() % _ALIGNMENT))
            facts = {"location": self._data_name, "offset": self._data.tell(), "length": value.nbytes}
            tensor.data_location = TensorProto.EXTERNAL
            for key, fact in facts.items():
                tensor.external_data.add(key=key, value=str(fact))
            self._data.write(value.data)
        self._initializers.append(tensor)
        return name

    def stores(self, name: str) -> bool:
        """Whether a weight of that name has been stored."""
        return name in self._names

    def view(self, name: str, of: str, shape: Sequence[int]) -> str:
        """A second name and shape for a stored weight's bytes: nothing is written twice."""
        if name not in self._names:
            self._names.add(name)
            tensor = TensorProto()
            tensor.CopyFrom(next(stored for stored in self._initializers if stored.name == of))
            tensor.name = name
            tensor.dims[:] = shape
            self._initializers.append(tensor)
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
        """Writes the graph file and returns the declared inputs and outputs."""
        graph = helper.make_graph(
            self._nodes,
            "decoder",
            [_value_info(spec) for spec in self._inputs],
            [_value_info(spec) for spec in self._outputs],
            initializer=self._initializers,
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="model_export")
        self._data.flush()
        self._path.write_bytes(model.SerializeToString())
        return tuple(self._inputs), tuple(self._outputs)


def _value_info(spec: TensorSpec) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))
    return helper.make_tensor_value_info(spec.name, kind, list(spec.shape))
