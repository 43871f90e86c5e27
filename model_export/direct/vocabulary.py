"""The embedding and the head. Where they are tied, both read one stored tensor."""

import numpy as np
from numpy.typing import NDArray

from model_export.direct import linear
from model_export.direct.graph import CONTRIB, GraphWriter
from model_export.recipes import Blocks

_TABLE = "vocabulary"


def embed(graph: GraphWriter, ids: str, table: NDArray[np.float32], layout: Blocks | None) -> str:
    """Looks up `ids` [batch, step] in `table` float32 [vocab, hidden]: returns [batch, step, hidden]."""
    if layout is None:
        weight = graph.constant(f"{_TABLE}.weight", table)
        return graph.node("Gather", [weight, ids], "embedding", axis=0)
    # The head's kernel wants the blocks as an axis of their own and this one does not: same bytes, two shapes.
    stored = linear.store_blocks(graph, linear.Matrix(_TABLE, table), layout)
    inputs = [graph.view(f"{_TABLE}.flat", stored[0], table.shape), ids, *stored[1:]]
    return graph.node(
        "GatherBlockQuantized",
        inputs,
        "embedding",
        domain=CONTRIB,
        bits=layout.bits,
        block_size=layout.block_size,
        gather_axis=0,
        quantize_axis=1,
    )


def project(
    graph: GraphWriter, x: str, head: NDArray[np.float32], layout: Blocks | None, *, tied: bool, output: str
) -> str:
    """Logits of `x` [batch, rows, hidden] over `head` float32 [vocab, hidden]."""
    matrix = linear.Matrix(_TABLE if tied else "head", head)
    if layout is None:
        return linear.full_product(graph, x, matrix, output)
    return linear.block_product(graph, x, matrix, layout, output)
