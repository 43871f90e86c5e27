"""The embedding and the head. Where they are tied, both read one stored tensor."""

from dataclasses import dataclass

from model_export.checkpoint import TensorStore
from model_export.direct import linear
from model_export.direct.architectures import DecoderConfig
from model_export.direct.graph import CONTRIB, GraphWriter
from model_export.recipes import Blocks

_TABLE = "vocabulary"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Both tables, [vocab, hidden], in blocks of `layout`, or in fp32."""

    config: DecoderConfig
    tensors: TensorStore
    layout: Blocks | None

    def embed(self, graph: GraphWriter, ids: str) -> str:
        """Looks up `ids` [batch, step] in the embedding: returns [batch, step, hidden]."""
        stored = self._stored(graph, _TABLE, "model.embed_tokens.weight")
        if self.layout is None:
            return graph.node("Gather", [*stored, ids], "embedding", axis=0)
        # The head's kernel wants the blocks as an axis of their own and this one does not: same bytes, two shapes.
        flat = graph.view(f"{_TABLE}.flat", stored[0], (self.config.vocab, self.config.hidden))
        return graph.node(
            "GatherBlockQuantized",
            [flat, ids, *stored[1:]],
            "embedding",
            domain=CONTRIB,
            bits=self.layout.bits,
            block_size=self.layout.block_size,
            gather_axis=0,
            quantize_axis=1,
        )

    def project(self, graph: GraphWriter, x: str, output: str) -> str:
        """Logits of `x` [batch, rows, hidden]."""
        stored = self.head(graph)
        if self.layout is None:
            return linear.full_product(graph, x, stored[0], output)
        return linear.block_product(graph, x, stored, (self.config.vocab, self.config.hidden), self.layout, output)

    def head(self, graph: GraphWriter) -> list[str]:
        """What the head is stored as: its values and, if they lie in blocks, scales and perhaps zero points."""
        if self.config.tied:
            return self._stored(graph, _TABLE, "model.embed_tokens.weight")
        return self._stored(graph, "head", "lm_head.weight")

    def _stored(self, graph: GraphWriter, name: str, tensor: str) -> list[str]:
        """A table is read when it is stored, and not again."""
        names = [f"{name}.weight"] if self.layout is None else linear.block_names(name, self.layout)
        if not graph.stores(names[0]):
            matrix = linear.Matrix(name, self.tensors.load(tensor))
            if self.layout is None:
                graph.constant(names[0], matrix.weight)
            else:
                linear.store_blocks(graph, matrix, self.layout)
        return names
