"""The recipes, one row each: how weights are stored, and how far from fp32 the result may be. Pure data.

Both exporters read the same rows. The direct one has a format per matrix; the optimum one stores all of them in
`blocks` where there are any.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from model_export.errors import ExportError


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Blockwise weights, as MatMulNBits computes with them."""

    bits: Literal[4, 8]
    block_size: int = 32
    accuracy_level: int = 4  # activations in int8 too; 0 is exact in them and many times slower

    @property
    def symmetric(self) -> bool:
        """Eight bits need no zero point; with four, the sixteen steps are too few to spend any on one sign."""
        return self.bits == 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What verification accepts, both against the fp32 graph of the same checkpoint."""

    perplexity_ratio: float  # at most; artefact over reference
    mean_kl: float  # at most; nats per position
    min_cosine: float = 0.99  # at least; of an embedding model, the vector that differs most


Format = Literal["full", "rows", "blocks", "offset blocks"]
"""How the direct exporter multiplies by a matrix: "full" is fp32, "rows" 8-bit weights with one scale per output and
activations normalised per position (the fastest for prompts), "blocks" is `Recipe.blocks`, and "offset blocks" the same
with an offset for each block in the place of a zero point: what a GGUF file holds in Q4_0 or Q4_1 stays as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """`qkv` are attention's input projections, `linears` all the other matrices of the layers, `vocabulary` is the
    embedding and the head (None leaves it in fp32). `smoothing`: whether channels are evened out between activations
    and weights first, which "rows" gain from: both have one scale for all channels."""

    name: str
    description: str
    qkv: Format
    linears: Format
    blocks: Blocks | None
    vocabulary: Blocks | None
    bounds: Bounds
    smoothing: bool = False

    @property
    def rounds_by_width(self) -> bool:
        """Whether a layer's products round the only row of a step otherwise than one of several: MatMulNBits does, with
        four bits."""
        return "offset blocks" in (self.qkv, self.linears)


DEFAULT = "int8"

RECIPES: Mapping[str, Recipe] = {
    row.name: row
    for row in (
        Recipe(
            name="fp32",
            description="32-bit weights: the reference, four times the size",
            qkv="full",
            linears="full",
            blocks=None,
            vocabulary=None,
            bounds=Bounds(perplexity_ratio=1.001, mean_kl=0.001, min_cosine=0.99999),
        ),
        Recipe(
            name="int8",
            description="8-bit weights and activations: the default, fast at prompts and answers",
            qkv="rows",
            linears="rows",
            blocks=Blocks(bits=8),
            vocabulary=Blocks(bits=8),
            bounds=Bounds(perplexity_ratio=1.03, mean_kl=0.03),
            smoothing=True,
        ),
        Recipe(
            name="int8-blocks",
            description="8-bit weights in blocks of 32: nearest to fp32, slower prompts",
            qkv="blocks",
            linears="blocks",
            blocks=Blocks(bits=8),
            vocabulary=Blocks(bits=8),
            bounds=Bounds(perplexity_ratio=1.03, mean_kl=0.03),
        ),
        Recipe(
            name="int4",
            description="4-bit weights in blocks of 32, 8-bit embedding and head: smallest, as good as a 4-bit file",
            qkv="offset blocks",
            linears="offset blocks",
            blocks=Blocks(bits=4),
            vocabulary=Blocks(bits=8),
            # Wide on purpose: a small model loses much when its weights are rounded to sixteen steps (1.21 × and 0.24
            # where a 135M model's were laid on other steps). One whose steps are kept loses 1.002 × and 0.003.
            bounds=Bounds(perplexity_ratio=1.35, mean_kl=0.35, min_cosine=0.9),
        ),
    )
}


def get_recipe(name: str) -> Recipe:
    """The row of that name. Raises ExportError that lists the names."""
    if name not in RECIPES:
        raise ExportError(f"there is no recipe {name!r}: choose one of {', '.join(RECIPES)}")
    return RECIPES[name]
