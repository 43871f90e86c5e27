"""KV as arrays: one for each of the graph's past inputs, in the graph's order, for one sequence."""

import math

import numpy as np

from handler.engine.ports import KVArrays
from handler.errors import ArtifactError
from handler.manifest import Graph, TensorSpec


def position_axis(spec: TensorSpec) -> int:
    """The one dimension, beside the batch, that has a name and not a size. Raises ArtifactError if it is not one."""
    axes = [axis for axis, size in enumerate(spec.shape) if axis > 0 and isinstance(size, str)]
    if len(axes) != 1:
        raise ArtifactError(
            f"{spec.name} has the shape {spec.shape}, of which not one dimension grows: export the model again"
        )
    return axes[0]


def shape_of(spec: TensorSpec, sequences: int, positions: int) -> tuple[int, ...]:
    """The shape of so many sequences of so many positions."""
    growing = position_axis(spec)
    return tuple(
        positions if axis == growing else size if isinstance(size, int) else sequences
        for axis, size in enumerate(spec.shape)
    )


def position_bytes(graph: Graph) -> int:
    """Bytes of the KV of one position of one sequence."""
    return sum(np.dtype(spec.dtype).itemsize * math.prod(shape_of(spec, 1, 1)) for spec in graph.past)


def first_positions(graph: Graph, kv: KVArrays, length: int) -> KVArrays:
    """Views of the first `length` positions."""
    axes = map(position_axis, graph.past)
    return [array[(slice(None),) * axis + (slice(length),)] for axis, array in zip(axes, kv, strict=True)]
