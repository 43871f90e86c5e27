"""8-bit products in a traced graph, as the direct exporter's `linear.rows`: one scale per output and one per position.

For encoders, which only ever see whole texts: there they take a quarter of the time of blocks, and a position's result
does not depend on which others share its batch.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from model_export.direct import quantize

_CONTRIB = "com.microsoft"
_AXIS, _STEP, _MIDDLE = "rows.axis", "rows.step", "rows.middle"


class RowWriter:
    """Writes products into one graph. Products that read the same activation share its integers."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._stored: set[str] = set()
        self._prepared: dict[str, tuple[str, str]] = {}

    def product(self, x: str, name: str, weight: NDArray[np.float32], result: str) -> Sequence[onnx.NodeProto]:
        """The nodes that compute `result` = `x` · `weight`.T, in their order. `weight` float32 [out, in]."""
        nodes = [] if x in self._prepared else self._prepare(x)
        integers, row_scale = self._prepared[x]
        values, scales = f"{name}.rows.values", f"{name}.rows.scales"
        if values not in self._stored:
            stored = quantize.columns(weight)
            self._store(values, stored.values)
            self._store(scales, stored.scales)
        inputs = [integers, values, _STEP, scales, _MIDDLE]
        scaled = f"{result}.scaled"
        return [
            *nodes,
            helper.make_node("MatMulIntegerToFloat", inputs, [scaled], domain=_CONTRIB),
            helper.make_node("Mul", [scaled, row_scale], [result]),
        ]

    def _prepare(self, x: str) -> list[onnx.NodeProto]:
        """Each row of `x`, divided by its largest magnitude, in ±127 steps."""
        if _AXIS not in self._stored:
            self._store(_AXIS, np.array([-1], np.int64))
            self._store(_STEP, np.array(1 / 127, np.float32))
            self._store(_MIDDLE, np.array(quantize.MIDDLE, np.uint8))
        magnitude, scale, normal, integers = (
            f"{x}.{part}" for part in ("magnitude", "row_scale", "normal", "integers")
        )
        self._prepared[x] = integers, scale
        return [
            helper.make_node("Abs", [x], [magnitude]),
            helper.make_node("ReduceMax", [magnitude, _AXIS], [scale], keepdims=1),
            helper.make_node("Div", [x, scale], [normal]),
            helper.make_node("QuantizeLinear", [normal, _STEP, _MIDDLE], [integers]),
        ]

    def _store(self, name: str, value: NDArray[Any]) -> None:
        self._stored.add(name)
        self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
