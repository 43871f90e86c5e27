"""The external data file of graphs: each weight once, by name, whichever graphs read it. Knows no model.

Weights go to disk as they arrive, so an export needs the memory of its largest tensor, not of the model.
"""

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

_ALIGNMENT = 4096  # bytes: a page, so that onnxruntime can map each tensor in place
_INLINE_BYTES = 1024  # smaller constants stay in the graph file, where shape inference can see them


class WeightFile:
    """The tensors of one file, in the order in which they came."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._file = path.open("wb")
        self._tensors: dict[str, onnx.TensorProto] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def close(self) -> None:
        self._file.close()

    def add(self, name: str, value: NDArray[Any]) -> None:
        """Stores a weight. A name that is there already is a shared one: the first value stays."""
        if name in self._tensors:
            return
        value = np.ascontiguousarray(value)
        tensor = TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(value.dtype), dims=value.shape)
        if value.nbytes < _INLINE_BYTES:
            tensor.raw_data = value.tobytes()
        else:
            self._file.write(bytes(-self._file.tell() % _ALIGNMENT))
            facts = {"location": self._name, "offset": self._file.tell(), "length": value.nbytes}
            tensor.data_location = TensorProto.EXTERNAL
            for key, fact in facts.items():
                tensor.external_data.add(key=key, value=str(fact))
            self._file.write(value.data)
        self._tensors[name] = tensor

    def add_view(self, name: str, of: str, shape: Sequence[int]) -> None:
        """A second name and shape for a stored weight's bytes: nothing is written twice."""
        if name not in self._tensors:
            tensor = TensorProto()
            tensor.CopyFrom(self._tensors[of])
            tensor.name = name
            tensor.dims[:] = shape
            self._tensors[name] = tensor

    def tensors(self, names: Container[str]) -> list[onnx.TensorProto]:
        """Those of these names, with all bytes in the file."""
        self._file.flush()
        return [tensor for name, tensor in self._tensors.items() if name in names]
