"""Sessions over graphs whose files lie in memory: the weights are used where they are, without a second copy.

ONNX Runtime follows links to their ends before it opens a file of weights, and a file in memory has no path there. What
it takes instead is a tensor for each weight, over memory that is ours.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from handler.errors import ArtifactError
from handler.ort.initializers import ExternalTensor, external_tensors

# ONNX's numbers for element types (onnx.proto, TensorProto.DataType), those that exported models store in files.
_DTYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16}
_FOLDER = "session.model_external_initializers_file_folder_path"


def open_in_memory(path: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """The session of a graph in a `MemoryDirectory`, which may be closed then.

    Raises ArtifactError, or what numpy and ONNX Runtime raise, if a weight is not in its file or of an unknown type.
    """
    graph = path.read_bytes()
    tensors = list(external_tensors(graph))
    files = {name: _mapped(path.parent, name) for name in {tensor.file for tensor in tensors}}
    weights = []
    for tensor in tensors:
        weight = onnxruntime.OrtValue.ortvalue_from_numpy(_weight(tensor, files[tensor.file]))
        options.add_initializer(tensor.name, weight)
        weights.append(weight)
    with _stand_ins(list(files)) as directory:
        options.add_session_config_entry(_FOLDER, directory)
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    # ONNX Runtime only points at them: they live as long as the session, and to the very end of the process.
    weakref.finalize(session, weights.clear).atexit = False
    return session


def _mapped(directory: Path, name: str) -> NDArray[np.uint8]:
    if Path(name).name != name:
        raise ArtifactError(f"The graph's weights lie in {name}, which is not beside it: export the model again")
    return np.memmap(directory / name, np.uint8, "r")


def _weight(tensor: ExternalTensor, file: NDArray[np.uint8]) -> NDArray[Any]:
    dtype = _DTYPES.get(tensor.element_type)
    if dtype is None:
        raise ArtifactError(
            f"The weight {tensor.name} has ONNX's element type {tensor.element_type}, which is not read from memory:"
            " name a directory instead of s3://"
        )
    weight: NDArray[Any] = np.ndarray(tensor.shape, dtype, file, tensor.offset)
    return weight if weight.flags.aligned else weight.copy()


@contextmanager
def _stand_ins(names: list[str]) -> Iterator[str]:
    """A directory with an empty file for each: ONNX Runtime wants them to be there, and reads none of them. Should it
    try, because a weight was not given to it, an empty file has nothing that could be taken for weights."""
    with TemporaryDirectory(prefix="lambda-llm-") as directory:
        for name in names:
            (Path(directory) / name).touch()
        yield directory
