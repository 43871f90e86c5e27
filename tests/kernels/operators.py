"""One operator of the kernels' library in a graph of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from handler.ort import kernels

DOMAIN = "lambda_llm"
Array = NDArray[Any]


def session(op: str, arguments: Sequence[Array], outputs: int, threads: int = 1, **attributes: Any) -> Any:
    """A session over one node; the arguments say dtypes and ranks."""
    names = [f"input{place}" for place in range(len(arguments))]
    results = [f"output{place}" for place in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(op, names, results, domain=DOMAIN, **attributes)],
        op,
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), [None] * array.ndim)
            for name, array in zip(names, arguments, strict=True)
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in results],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.register_custom_ops_library(str(kernels.LIBRARY))
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(op: str, arguments: Sequence[Array], outputs: int = 1, threads: int = 1, **attributes: Any) -> list[Array]:
    """What the operator makes of its arguments."""
    made = session(op, arguments, outputs, threads, **attributes)
    fed: Mapping[str, Array] = {f"input{place}": array for place, array in enumerate(arguments)}
    return list(made.run(None, dict(fed)))
