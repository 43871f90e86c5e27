"""Sessions over graphs of one operator of ours: activations as inputs, weights as constants."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.float32]
EPSILON = 1e-5


def session(
    library: Path,
    kind: str,
    inputs: Sequence[str],
    stored: Mapping[str, NDArray],
    outputs: Sequence[str] = ("product",),
    *,
    threads: int = 2,
    integers: Sequence[str] = (),
    attributes: Mapping[str, float] | None = None,
) -> ort.InferenceSession:
    """An operator with a second output, the sum before its norm, has an epsilon. `integers`: inputs that are int32."""
    if attributes is None:
        attributes = {"epsilon": EPSILON} if len(outputs) == 2 else {}
    graph = helper.make_graph(
        [helper.make_node(kind, [*inputs, *stored], outputs, domain="lambda_llm", **attributes)],
        kind,
        [
            helper.make_tensor_value_info(name, TensorProto.INT32 if name in integers else TensorProto.FLOAT, None)
            for name in inputs
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in stored.items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("lambda_llm", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what is wrong on purpose needs no line of its own
    options.register_custom_ops_library(str(library))
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(
    library: Path, kind: str, inputs: Sequence[Array], stored: Sequence[NDArray], outputs: int = 1, threads: int = 2
) -> list[Array]:
    """What the operator makes of activations and weights."""
    given = {f"input{place}": value for place, value in enumerate(inputs)}
    weights = {f"stored{place}": value for place, value in enumerate(stored)}
    names = [f"output{place}" for place in range(outputs)]
    return list(session(library, kind, list(given), weights, names, threads=threads).run(None, given))
