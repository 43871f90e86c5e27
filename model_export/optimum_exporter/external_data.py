"""Writes a model with its weights beside it; equal bytes are stored once, whatever shapes they are read in."""

import hashlib
from pathlib import Path

import onnx

_ALIGNMENT = 4096  # bytes: a page, so that onnxruntime can map each tensor in place
_INLINE_BYTES = 1024  # smaller constants stay in the graph file, where shape inference can see them


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Writes `path` and `path` + ".data". `model` keeps its structure and loses the weights."""
    offsets: dict[bytes, int] = {}
    name = path.name + ".data"
    with path.with_name(name).open("wb") as data:
        for tensor in model.graph.initializer:
            raw = onnx.numpy_helper.to_array(tensor).tobytes()
            if len(raw) < _INLINE_BYTES:
                continue
            digest = hashlib.sha256(raw).digest()
            if digest not in offsets:
                data.write(bytes(-data.tell() % _ALIGNMENT))
                offsets[digest] = data.tell()
                data.write(raw)
            for field in ("raw_data", "float_data", "int32_data", "int64_data"):
                tensor.ClearField(field)
            del tensor.external_data[:]
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, fact in {"location": name, "offset": offsets[digest], "length": len(raw)}.items():
                tensor.external_data.add(key=key, value=str(fact))
    path.write_bytes(model.SerializeToString())
