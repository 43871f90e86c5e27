"""A traced graph's matrices, stored as the recipe says. Knows operators, and no architecture.

A matrix is what a MatMul or a Gemm multiplies an activation by, as it is or through a Transpose; the embedding is what
a Gather looks token ids up in. Matrices as wide as the vocabulary belong to it. What does not divide into blocks, and
position tables, stay in fp32. A decoder's matrices are all stored in blocks, some of an encoder's in rows where the
recipe has them; attention's input projections are what three products of one activation multiply by.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from handler import manifest
from model_export.direct import quantize
from model_export.optimum_exporter.rows import RowWriter
from model_export.progress import Progress
from model_export.recipes import Blocks, Recipe

_CONTRIB = "com.microsoft"
_ROWS_OPSET = 18
_QKV = 3  # products


def store(model: onnx.ModelProto, recipe: Recipe, progress: Progress) -> None:
    """Replaces, in place, the multiplications and look-ups whose weights the recipe quantizes."""
    if recipe.blocks is None and recipe.vocabulary is None:
        return
    encoder = all(value.name != manifest.LOGITS for value in model.graph.output)
    # ReduceMax has taken its axes as an input from this version on.
    opset = next(opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx"))
    rows = RowWriter(model.graph) if encoder and opset >= _ROWS_OPSET and recipe.linears == "rows" else None
    writer = _Writer(model.graph, recipe, rows)
    with progress.phase(f"store weights as {recipe.name}", total=len(model.graph.node), unit="node") as step:
        rewritten: list[onnx.NodeProto] = []
        for node in model.graph.node:
            rewritten += writer.rewrite(node)
            step(1)
    del model.graph.node[:]
    model.graph.node.extend(rewritten)
    _drop_unused(model.graph)
    if all(opset.domain != _CONTRIB for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_CONTRIB, 1))


class _Writer:
    """`rows` None: all matrices in blocks."""

    def __init__(self, graph: onnx.GraphProto, recipe: Recipe, rows: RowWriter | None) -> None:
        self._graph = graph
        self._rows = rows
        self._recipe = recipe
        self._tables = {tensor.name: tensor for tensor in graph.initializer if len(tensor.dims) == 2}
        self._transposes = {
            node.output[0]: node.input[0]
            for node in graph.node
            if node.op_type == "Transpose" and node.input[0] in self._tables
        }
        self._readers = Counter(node.input[0] for node in graph.node if node.op_type == "MatMul")
        self._vocab_size = _vocab_size(graph)
        self._stored: dict[tuple[str, bool, Blocks], list[str]] = {}

    def rewrite(self, node: onnx.NodeProto) -> Sequence[onnx.NodeProto]:
        """What takes the node's place: itself, if its weights stay as they are."""
        facts = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if node.op_type == "MatMul":
            return self._product(node, transposed=False)
        if node.op_type == "Gemm" and not (facts.keys() - {"transB", "alpha", "beta"}) and _is_plain(facts):
            return self._product(node, transposed=bool(facts.get("transB", 0)))
        if node.op_type == "Gather" and facts.get("axis", 0) == 0:
            return self._lookup(node)
        return [node]

    def _product(self, node: onnx.NodeProto, *, transposed: bool) -> Sequence[onnx.NodeProto]:
        """`transposed`: the weight is [out, in] already."""
        x, name, *bias = node.input
        if name in self._transposes:
            name, transposed = self._transposes[name], not transposed
        if name not in self._tables:
            return [node]
        outputs, inputs = self._tables[name].dims if transposed else reversed(self._tables[name].dims)
        layout = self._recipe.vocabulary if outputs == self._vocab_size else self._recipe.blocks
        (result,) = node.output
        product = f"{result}.product" if bias else result
        added = [helper.make_node("Add", [product, *bias], [result])] if bias else []
        if self._rows is not None and self._suits_rows(x, inputs, outputs):
            return [*self._rows.product(x, name, self._weight(name, transposed=transposed), product), *added]
        if layout is None or inputs % layout.block_size:
            return [node]
        multiplied = helper.make_node(
            "MatMulNBits",
            [x, *self._blocks(name, layout, transposed=transposed)],
            [product],
            name=node.name,
            domain=_CONTRIB,
            N=outputs,
            K=inputs,
            bits=layout.bits,
            block_size=layout.block_size,
            accuracy_level=layout.accuracy_level,
        )
        return [multiplied, *added]

    def _suits_rows(self, x: str, inputs: int, outputs: int) -> bool:
        """Not attention's input projections, and not what narrows: behind GELU, few steps would do all the work."""
        return outputs != self._vocab_size and self._readers[x] < _QKV and inputs <= outputs

    def _lookup(self, node: onnx.NodeProto) -> Sequence[onnx.NodeProto]:
        name, ids = node.input
        layout = self._recipe.vocabulary
        if layout is None or name not in self._tables:
            return [node]
        rows, width = self._tables[name].dims
        if rows != self._vocab_size or width % layout.block_size:
            return [node]
        values, *rest = self._blocks(name, layout, transposed=True)
        # The head's kernel wants the blocks as an axis of their own and this one does not: same bytes, two shapes.
        flat = f"{values}.flat"
        if flat not in (tensor.name for tensor in self._graph.initializer):
            packed = next(tensor for tensor in self._graph.initializer if tensor.name == values)
            self._add(flat, numpy_helper.to_array(packed).reshape(rows, -1))
        return [
            helper.make_node(
                "GatherBlockQuantized",
                [flat, ids, *rest],
                node.output,
                name=node.name,
                domain=_CONTRIB,
                bits=layout.bits,
                block_size=layout.block_size,
                gather_axis=0,
                quantize_axis=1,
            )
        ]

    def _blocks(self, name: str, layout: Blocks, *, transposed: bool) -> list[str]:
        """Names of values, scales and, where there are any, zero points."""
        key = (name, transposed, layout)
        if key not in self._stored:
            stored = quantize.blocks(self._weight(name, transposed=transposed), layout)
            prefix = f"{name}.{'rows' if transposed else 'columns'}"
            names = [self._add(f"{prefix}.values", stored.values), self._add(f"{prefix}.scales", stored.scales)]
            if stored.zero_points is not None:
                names.append(self._add(f"{prefix}.zero_points", stored.zero_points))
            self._stored[key] = names
        return self._stored[key]

    def _weight(self, name: str, *, transposed: bool) -> NDArray[np.float32]:
        """float32 [out, in]."""
        table: NDArray[np.float32] = numpy_helper.to_array(self._tables[name]).astype(np.float32)
        return table if transposed else table.T

    def _add(self, name: str, value: NDArray[Any]) -> str:
        self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name


def _vocab_size(graph: onnx.GraphProto) -> int:
    """The width of a decoder's logits; an encoder has none, but a table that token ids are looked up in."""
    for value in graph.output:
        if value.name == manifest.LOGITS:
            return int(value.type.tensor_type.shape.dim[2].dim_value)
    tables = {node.input[0] for node in graph.node if node.op_type == "Gather" and manifest.INPUT_IDS in node.input}
    return next((int(tensor.dims[0]) for tensor in graph.initializer if tensor.name in tables), 0)


def _is_plain(facts: dict[str, Any]) -> bool:
    return bool(facts.get("alpha", 1.0) == facts.get("beta", 1.0) == 1.0)


def _drop_unused(graph: onnx.GraphProto) -> None:
    """A Transpose whose product is gone, and the fp32 weights that nothing reads any more."""
    outputs = {value.name for value in graph.output}
    used = {name for node in graph.node for name in node.input} | outputs
    nodes = [node for node in graph.node if node.op_type != "Transpose" or node.output[0] in used]
    used = {name for node in nodes for name in node.input} | outputs
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.initializer[:]
    graph.initializer.extend(tensors)
