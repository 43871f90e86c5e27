"""safetensors files, one or many shards, as a TensorStore: memory-mapped, each tensor turned to float32 when asked for.

Read here and not with the safetensors package because numpy has no bfloat16, in which most checkpoints are kept, and so
that a truncated shard is named. Format: https://github.com/huggingface/safetensors#format
"""

import json
import math
import mmap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_export.errors import ExportError
from model_export.sources.files import read_json

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_LENGTH_BYTES = 8  # the header's length, little-endian, before the header


def _bfloat16(raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A bfloat16 is the upper half of a float32."""
    return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)


_READERS: Mapping[str, tuple[int, Callable[[NDArray[np.uint8]], NDArray[np.float32]]]] = {
    "BF16": (2, _bfloat16),
    "F16": (2, lambda raw: raw.view("<f2").astype(np.float32)),
    "F32": (4, lambda raw: raw.view("<f4").astype(np.float32)),
    "F64": (8, lambda raw: raw.view("<f8").astype(np.float32)),
}


@dataclass(frozen=True, slots=True)
class _Entry:
    shard: "_Shard"
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class SafetensorsStore:
    """The tensors of a checkpoint directory.

    Raises ExportError, at construction, where a shard is missing, truncated, damaged or lacks a tensor of the index.
    """

    def __init__(self, directory: Path) -> None:
        index_path = directory / INDEX
        if index_path.exists():
            weight_map = read_json(index_path).get("weight_map")
            if not isinstance(weight_map, dict) or not weight_map:
                raise ExportError(f"{index_path} holds no weight_map: download it again")
            shards = {name: _Shard(directory / name) for name in sorted(set(weight_map.values()))}
            for name, shard in weight_map.items():
                if name not in shards[shard].entries:
                    raise ExportError(f"shard {directory / shard} lacks {name}: download it again")
            self._entries = {name: shards[shard].entries[name] for name, shard in weight_map.items()}
        else:
            self._entries = _Shard(directory / SINGLE).entries

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._entry(name).shape

    def load(self, name: str) -> NDArray[np.float32]:
        entry = self._entry(name)
        values = entry.shard.load(entry)
        if not np.isfinite(values).all():
            raise ExportError(
                f"shard {entry.shard.path} is damaged: {name} holds values that are not finite: download it again"
            )
        return values

    def _entry(self, name: str) -> _Entry:
        try:
            return self._entries[name]
        except KeyError:
            raise ExportError(f"the checkpoint lacks {name}: download it again, or take another checkpoint") from None


class _Shard:
    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise ExportError(f"shard {path} is missing: download it again") from None
        except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
            raise ExportError(f"shard {path} cannot be read ({error}): download it again") from None
        self._start = _LENGTH_BYTES + int.from_bytes(self._data[:_LENGTH_BYTES], "little")
        if self._start > len(self._data):
            raise self._truncated(self._start)
        try:
            header: dict[str, Any] = json.loads(self._data[_LENGTH_BYTES : self._start])
            header.pop("__metadata__", None)
            self.entries = {
                name: _Entry(self, info["dtype"], tuple(info["shape"]), *info["data_offsets"])
                for name, info in header.items()
            }
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ExportError(f"shard {path} is damaged: its header cannot be read: download it again") from None
        end = self._start + max((entry.end for entry in self.entries.values()), default=0)
        if end > len(self._data):
            raise self._truncated(end)

    def load(self, entry: _Entry) -> NDArray[np.float32]:
        reader = _READERS.get(entry.dtype)
        if reader is None:
            raise ExportError(
                f"shard {self.path} holds {entry.dtype} weights, supported are {', '.join(_READERS)}:"
                " export from the unquantized checkpoint"
            )
        item_size, convert = reader
        size = entry.end - entry.begin
        if entry.begin < 0 or size != math.prod(entry.shape) * item_size:
            raise ExportError(f"shard {self.path} is damaged: a tensor's size and shape differ: download it again")
        raw = np.frombuffer(self._data, dtype=np.uint8, count=size, offset=self._start + entry.begin)
        return convert(raw).reshape(entry.shape)

    def _truncated(self, expected: int) -> ExportError:
        return ExportError(
            f"shard {self.path} is truncated: it should hold {expected} bytes and holds {len(self._data)}:"
            " download it again"
        )
