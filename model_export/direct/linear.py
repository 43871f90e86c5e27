"""One callable per weight format: how a matrix is stored, and which operators multiply by it.

A call takes all the matrices that read the same activation, so that a format can prepare it once for all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model_export.direct import quantize
from model_export.direct.graph import CONTRIB, GraphWriter
from model_export.recipes import Blocks, Format, Recipe


@dataclass(frozen=True, slots=True)
class Matrix:
    """y = x · weight.T + bias. `weight` float32 [out, in], `bias` float32 [out] or None."""

    name: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None = None


class LinearFormat(Protocol):
    def __call__(self, graph: GraphWriter, x: str, matrices: Sequence[Matrix]) -> list[str]:
        """Multiplies the activation `x` [batch, step, in] by each matrix; returns the products' names."""
        ...


def full(graph: GraphWriter, x: str, matrices: Sequence[Matrix]) -> list[str]:
    """float32 weights."""
    products = []
    for matrix in matrices:
        weight = graph.constant(f"{matrix.name}.weight", matrix.weight)
        products.append(_biased(graph, matrix, full_product(graph, x, weight, f"{matrix.name}.product")))
    return products


def rows(graph: GraphWriter, x: str, matrices: Sequence[Matrix]) -> list[str]:
    """8-bit weights, one scale per output, and 8-bit activations, one scale per position.

    Each row of activations is divided by its largest magnitude, rounded to ±127 steps and multiplied back afterwards:
    a loud position costs the others no precision, and a position's result does not depend on which others share its
    step. A row of zeros is divided by zero, and whatever integers that makes are multiplied by zero afterwards.
    """
    name = matrices[0].name
    magnitude = graph.node("Abs", [x], f"{name}.magnitude")
    last = graph.constant("rows.axis", np.array([-1], np.int64))
    row_scale = graph.node("ReduceMax", [magnitude, last], f"{name}.row_scale", keepdims=1)
    normal = graph.node("Div", [x, row_scale], f"{name}.normal")
    step = graph.constant("rows.step", np.array(1 / 127, np.float32))
    middle = graph.constant("rows.middle", np.array(quantize.MIDDLE, np.uint8))
    integers = graph.node("QuantizeLinear", [normal, step, middle], f"{name}.integers")
    products = []
    for matrix in matrices:
        stored = quantize.columns(matrix.weight)
        weight = graph.constant(f"{matrix.name}.weight", stored.values)
        scales = graph.constant(f"{matrix.name}.scales", stored.scales)
        inputs = [integers, weight, step, scales, middle]
        scaled = graph.node("MatMulIntegerToFloat", inputs, f"{matrix.name}.scaled", domain=CONTRIB)
        product = graph.node("Mul", [scaled, row_scale], f"{matrix.name}.product")
        products.append(_biased(graph, matrix, product))
    return products


@dataclass(frozen=True, slots=True)
class BlockFormat:
    """Weights in blocks, by MatMulNBits."""

    layout: Blocks

    def __call__(self, graph: GraphWriter, x: str, matrices: Sequence[Matrix]) -> list[str]:
        products = []
        for matrix in matrices:
            stored, output = store_blocks(graph, matrix, self.layout), f"{matrix.name}.product"
            product = block_product(graph, x, stored, matrix.weight.shape, self.layout, output)
            products.append(_biased(graph, matrix, product))
        return products


@dataclass(frozen=True, slots=True)
class OffsetBlockFormat:
    """4-bit weights in blocks with offsets: MatMulNBits for the steps, and a small product for the offsets, which
    each multiply the sum of their block's activations."""

    layout: Blocks

    def __call__(self, graph: GraphWriter, x: str, matrices: Sequence[Matrix]) -> list[str]:
        sums = self._block_sums(graph, x, matrices[0].name)
        return [_biased(graph, matrix, self._product(graph, x, sums, matrix)) for matrix in matrices]

    def _block_sums(self, graph: GraphWriter, x: str, name: str) -> str:
        """[batch, step, blocks]"""
        size = self.layout.block_size
        shape = graph.constant("offsets.shape", np.array([0, 0, -1, size], np.int64))
        axis = graph.constant("offsets.axis", np.array([-1], np.int64))
        blocked = graph.node("Reshape", [x, shape], f"{name}.blocked")
        return graph.node("ReduceSum", [blocked, axis], f"{name}.block_sums", keepdims=0)

    def _product(self, graph: GraphWriter, x: str, sums: str, matrix: Matrix) -> str:
        stored = quantize.offset_blocks(matrix.weight, self.layout)
        values = graph.constant(f"{matrix.name}.weight", stored.values)
        scales = graph.constant(f"{matrix.name}.scales", stored.scales)
        steps = block_product(graph, x, [values, scales], matrix.weight.shape, self.layout, f"{matrix.name}.steps")
        offsets = graph.constant(f"{matrix.name}.offsets", stored.offsets.T)
        added = graph.node("MatMul", [sums, offsets], f"{matrix.name}.offset")
        return graph.node("Add", [steps, added], f"{matrix.name}.product")


def full_product(graph: GraphWriter, x: str, weight: str, output: str) -> str:
    """x · weight.T in float32."""
    # FusedMatMul takes the checkpoint's own layout, and a tied embedding's tensor as it is.
    return graph.node("FusedMatMul", [x, weight], output, domain=CONTRIB, transB=1)


def block_product(
    graph: GraphWriter, x: str, stored: Sequence[str], shape: tuple[int, ...], layout: Blocks, output: str
) -> str:
    """x · weight.T; `stored` is what `block_names` says, `shape` the weight's own: [out, in]."""
    return graph.node(
        "MatMulNBits",
        [x, *stored],
        output,
        domain=CONTRIB,
        N=shape[0],
        K=shape[1],
        bits=layout.bits,
        block_size=layout.block_size,
        accuracy_level=layout.accuracy_level,
    )


def block_names(name: str, layout: Blocks) -> list[str]:
    """What a matrix in blocks is stored as: its values, its scales and, where there are any, its zero points."""
    return [f"{name}.weight", f"{name}.scales", *([] if layout.symmetric else [f"{name}.zero_points"])]


def store_blocks(graph: GraphWriter, matrix: Matrix, layout: Blocks) -> list[str]:
    """Stores the matrix in blocks, under the names that it returns."""
    names = block_names(matrix.name, layout)
    stored = quantize.blocks(matrix.weight, layout)
    for name, value in zip(names, (stored.values, stored.scales, stored.zero_points), strict=False):
        if value is not None:
            graph.constant(name, value)
    return names


def of(recipe: Recipe, kind: Format) -> LinearFormat:
    """The callable for one of the recipe's formats."""
    if kind == "blocks" and recipe.blocks is not None:
        return BlockFormat(recipe.blocks)
    if kind == "offset blocks" and recipe.blocks is not None:
        return OffsetBlockFormat(recipe.blocks)
    return _WHOLE[kind]


_WHOLE: Mapping[str, LinearFormat] = {"full": full, "rows": rows}


def _biased(graph: GraphWriter, matrix: Matrix, product: str) -> str:
    if matrix.bias is None:
        return product
    bias = graph.constant(f"{matrix.name}.bias", matrix.bias)
    return graph.node("Add", [product, bias], f"{matrix.name}.biased")
