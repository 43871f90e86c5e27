"""Recipes are data: what the names promise."""

import pytest

from model_export.errors import ExportError
from model_export.recipes import DEFAULT, RECIPES, Blocks, Bounds, Recipe, get_recipe


def test_the_default_keeps_the_promised_quality() -> None:
    assert get_recipe(DEFAULT) == Recipe(
        name="int8",
        description="8-bit weights and activations: the default, fast at prompts and answers",
        qkv="rows",
        linears="rows",
        blocks=Blocks(bits=8, block_size=32, accuracy_level=4),
        vocabulary=Blocks(bits=8, block_size=32, accuracy_level=4),
        bounds=Bounds(perplexity_ratio=1.03, mean_kl=0.03),
        smoothing=True,
    )


def test_the_reference_stores_nothing_in_blocks() -> None:
    reference = get_recipe("fp32")
    assert (reference.qkv, reference.linears, reference.blocks, reference.vocabulary) == ("full", "full", None, None)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_format_in_blocks_says_which(recipe: Recipe) -> None:
    assert recipe.blocks is not None or "blocks" not in (recipe.qkv, recipe.linears)


def test_an_unknown_recipe_lists_the_known() -> None:
    with pytest.raises(ExportError, match=r"^there is no recipe 'int5': choose one of fp32, int8, int8-blocks, int4$"):
        get_recipe("int5")
