"""The GGUF container: header, metadata and tensor table, memory-mapped. Weights are dequantized one at a time.

Written here because reading a header with the gguf package takes seconds (one numpy object per vocabulary entry) and
reports a truncated file as an IndexError; the package still does the dequantization.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quant_shape_to_byte_shape
from numpy.typing import NDArray

from model_export.errors import ExportError
from model_export.sources.files import damage_reported

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_DEFAULT_ALIGNMENT = 32  # bytes
_MAX_DIMENSIONS = 4

# Metadata value types by their number in the file, as struct and numpy codes.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9

# Types that numpy reads as they are; gguf dequantizes the others.
_PLAIN: Mapping[GGMLQuantizationType, np.dtype[Any]] = {
    GGMLQuantizationType.F32: np.dtype("<f4"),
    GGMLQuantizationType.F16: np.dtype("<f2"),
    GGMLQuantizationType.F64: np.dtype("<f8"),
}


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """`shape` in numpy's order (GGUF writes the fastest dimension first); `offset` and `size` in bytes, in the file."""

    shape: tuple[int, ...]
    type: GGMLQuantizationType
    offset: int
    size: int


class GgufContainer:
    """An open GGUF file.

    Raises ExportError, at construction, where the file is missing, truncated or no GGUF.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                magic = file.read(len(MAGIC))
                if magic != MAGIC:
                    raise ExportError(f"{path} is not a GGUF file (it begins with {magic!r}): give another file")
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise ExportError(f"{path} cannot be read ({error.strerror}): give the path of a .gguf file") from None
        with damage_reported(path):
            self.metadata, self.tensors = self._parse()
        end = max((tensor.offset + tensor.size for tensor in self.tensors.values()), default=0)
        if end > len(self._data):
            raise ExportError(
                f"{path} is truncated: it should hold {end} bytes and holds {len(self._data)}: download it again"
            )

    def load(self, name: str) -> NDArray[np.float32]:
        """The tensor `name` as float32, in the order that GGUF holds it. Raises KeyError, and ExportError for a type
        that cannot be dequantized."""
        tensor = self.tensors[name]
        raw = np.frombuffer(self._data, dtype=np.uint8, count=tensor.size, offset=tensor.offset)
        plain = _PLAIN.get(tensor.type)
        if plain is not None:
            return np.asarray(raw.view(plain), dtype=np.float32).reshape(tensor.shape)
        try:
            values = dequantize(raw.reshape(quant_shape_to_byte_shape(tensor.shape, tensor.type)), tensor.type)
        except NotImplementedError:
            raise ExportError(
                f"{self.path} holds {tensor.type.name} weights, which cannot be read: take a Q8_0 or F16 file"
            ) from None
        return np.asarray(values, dtype=np.float32).reshape(tensor.shape)

    def _parse(self) -> tuple[Mapping[str, Any], Mapping[str, GgufTensor]]:
        cursor = _Cursor(self._data, len(MAGIC))
        version: int = cursor.scalar("I")
        if version not in _VERSIONS:
            raise ExportError(f"{self.path} has GGUF version {version}, supported are 2 and 3: convert it again")
        tensor_count, key_count = cursor.scalar("Q"), cursor.scalar("Q")
        metadata = {cursor.string(): cursor.value(cursor.scalar("I")) for _ in range(key_count)}
        infos = [cursor.tensor_info() for _ in range(tensor_count)]
        alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        start = math.ceil(cursor.position / alignment) * alignment
        return metadata, {
            name: GgufTensor(shape, kind, start + offset, size) for name, shape, kind, offset, size in infos
        }


class _Cursor:
    """Reads little-endian values from `position` on; ValueError or KeyError where they make no sense."""

    def __init__(self, data: mmap.mmap, position: int) -> None:
        self._data = data
        self.position = position

    def scalar(self, code: str) -> Any:
        (value,) = struct.unpack("<" + code, self._take(struct.calcsize("<" + code)))
        return value

    def string(self) -> str:
        return self._take(self.scalar("Q")).decode()

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.scalar(_SCALARS[kind])
        element, count = self.scalar("I"), self.scalar("Q")
        if element in (_STRING, _ARRAY):
            return [self.value(element) for _ in range(count)]
        dtype = np.dtype(_SCALARS[element]).newbyteorder("<")
        return np.frombuffer(self._take(count * dtype.itemsize), dtype=dtype).tolist()

    def tensor_info(self) -> tuple[str, tuple[int, ...], GGMLQuantizationType, int, int]:
        name = self.string()
        dimensions: int = self.scalar("I")
        if not 0 < dimensions <= _MAX_DIMENSIONS:
            raise ValueError(f"{name} has {dimensions} dimensions")
        shape = tuple(self.scalar("Q") for _ in range(dimensions))[::-1]
        kind = GGMLQuantizationType(self.scalar("I"))
        block, block_bytes = GGML_QUANT_SIZES[kind]
        return name, shape, kind, self.scalar("Q"), math.prod(shape) // block * block_bytes

    def _take(self, count: int) -> bytes:
        if self.position + count > len(self._data):
            raise ValueError("it ends too early")
        self.position += count
        return self._data[self.position - count : self.position]
