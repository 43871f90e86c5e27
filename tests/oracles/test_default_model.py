"""fp32 direct = fp32 optimum = torch on the real model, token for token; quantized artefacts keep their bounds."""

from collections.abc import Mapping

import numpy as np
import pytest

from handler.chat.template import ChatTemplate
from handler.manifest import ModelManifest
from handler.tokenizer import HFTokenizer
from model_export.checkpoint import Checkpoint
from model_export.progress import Stopwatch
from model_export.recipes import RECIPES
from model_export.verify import verify
from tests.oracles.artefacts import FromCache, Model, artefact

pytestmark = pytest.mark.timeout(900)

QUESTIONS = [
    "What is the capital of France?",
    "Write a haiku about the sea.",
    "Explain photosynthesis to a child in two sentences.",
    "def fibonacci(n):",
    "Übersetze ins Deutsche: The cat sleeps on the sofa. 🐈",
    "List the first ten prime numbers, separated by commas.",
]
TOKENS = 32


def prompt(checkpoint: Checkpoint, question: str) -> list[int]:
    assert checkpoint.chat_template is not None
    template = ChatTemplate(checkpoint.chat_template, checkpoint.special_tokens)
    text = template.render([{"role": "user", "content": question}], add_generation_prompt=True)
    return HFTokenizer.from_json(checkpoint.tokenizer_json).encode(text, special=True)


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_exporters_say_what_torch_says_token_for_token(
    fp32: Mapping[str, Model], reference: Model, checkpoint: Checkpoint, question: str
) -> None:
    ids = prompt(checkpoint, question)
    expected = reference.greedy(ids, TOKENS)
    assert {name: model.greedy(ids, TOKENS) for name, model in fp32.items()} == dict.fromkeys(fp32, expected)
    whole = [*ids, *expected]
    logits = reference.logits(whole)
    for name, model in fp32.items():
        np.testing.assert_allclose(model.logits(whole), logits, atol=2e-3, rtol=0, err_msg=name)


@pytest.mark.parametrize(
    ("exporter", "recipe", "mean_kl"),
    [("direct", "int8", 0.03), ("direct", "int4", 0.006), ("optimum", "int8", 0.03), ("optimum", "int4", 0.35)],
    ids=str,
)
def test_a_quantized_artefact_keeps_its_bounds(
    checkpoint: Checkpoint, exporter: str, recipe: str, mean_kl: float
) -> None:
    """`verify` raises where the recipe's are broken. The reference is the direct fp32 graph, which is torch's equal.

    The default model's file is in Q4_1, which the direct int4 keeps as it is: only activations are rounded there.
    """
    directory = artefact(checkpoint, exporter, RECIPES[recipe])
    quality = verify(
        checkpoint=checkpoint,
        manifest=ModelManifest.read(directory),
        directory=directory,
        recipe=RECIPES[recipe],
        build=FromCache(artefact(checkpoint, "direct", RECIPES["fp32"])),
        progress=Stopwatch(),
    )
    print(quality.model_dump_json())
    assert quality.perplexity <= quality.reference_perplexity * RECIPES[recipe].bounds.perplexity_ratio
    assert quality.mean_kl <= mean_kl


def test_the_default_recipe_is_within_three_percent_of_fp32() -> None:
    bounds = RECIPES["int8"].bounds
    assert (bounds.perplexity_ratio, bounds.mean_kl) == (1.03, 0.03)
