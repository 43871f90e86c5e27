"""On real graphs: guessing ahead gives the same tokens; in int8 the same events, to the bit.

In fp32 a step of one token and a wider one take different kernels, which add in another order: logits differ by some
1e-5. In int8 the products are exact.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from handler.engine.decode import generate
from handler.engine.events import Delta, Finished, Usage
from handler.engine.params import GenerationParams
from handler.engine.ports import Decoder, Tokenizer
from handler.engine.speculation import Proposer, Speculation
from handler.manifest import ModelManifest
from handler.ort.decoder import load_decoder
from handler.tokenizer import HFTokenizer
from model_export.checkpoint import Checkpoint
from model_export.recipes import RECIPES
from tests.engine.test_speculation import Always, Guessing
from tests.fakes import STEP_COSTS, FakeTokenizer
from tests.models import exported
from tests.oracles.artefacts import artefact
from tests.oracles.tiny import VOCAB, random_model

SAMPLING = [
    GenerationParams(temperature=0, top_logprobs=2, max_tokens=40),
    GenerationParams(temperature=1, top_p=0.9, seed=3, frequency_penalty=0.5, top_logprobs=2, max_tokens=40),
]


@dataclass(frozen=True, slots=True)
class Answer:
    token_ids: list[int]
    logprobs: list[float]
    usage: Usage

    def agrees(self, other: "Answer") -> None:
        assert self.token_ids == other.token_ids
        np.testing.assert_allclose(self.logprobs, other.logprobs, atol=1e-4, rtol=0)


def answer(
    decoder: Decoder,
    tokenizer: Tokenizer,
    prompt: Sequence[int],
    params: GenerationParams,
    ends: Sequence[int],
    speculate: Callable[[], Proposer] | None = None,
) -> Answer:
    *events, finished = generate(
        decoder, tokenizer, prompt, params, ends, should_stop=lambda: False, speculation=speculate
    )
    assert isinstance(finished, Finished)
    tokens = [token.chosen for event in events if isinstance(event, Delta) for token in event.tokens]
    return Answer([token.token_id for token in tokens], [token.logprob for token in tokens], finished.usage)


@pytest.mark.parametrize("exporter", ["direct", "optimum"])
@pytest.mark.parametrize("params", SAMPLING, ids=["greedy", "sampled"])
def test_a_small_model_says_the_same(exporter: str, params: GenerationParams, tmp_path: Path) -> None:
    """With both KV layouts. The model is random, so its answers fall into loops, which look-up finds."""
    _, checkpoint = random_model("llama", {"num_key_value_heads": 2})
    directory = artefact(checkpoint, exporter, RECIPES["fp32"], output=tmp_path / "model")
    decoder = load_decoder(directory, ModelManifest.read(directory), threads=1)
    random = np.random.default_rng(0)
    for _ in range(5):
        prompt = random.integers(3, VOCAB, 12).tolist()
        plain = answer(decoder, FakeTokenizer(), prompt, params, (2,))
        proposers: list[Callable[[], Proposer]] = [
            lambda prompt=prompt: Speculation(prompt, prompt, step_costs=STEP_COSTS),
            lambda: Guessing(3, VOCAB),
            lambda: Always(range(30, 37)),
        ]
        for speculate in proposers:
            answer(decoder, FakeTokenizer(), prompt, params, (2,), speculate).agrees(plain)


LETTER = "The old lighthouse stood at the edge of the cliff, its white paint peeling in the salt wind."


@pytest.mark.timeout(900)
@pytest.mark.parametrize("params", SAMPLING, ids=["greedy", "sampled"])
@pytest.mark.parametrize("recipe", ["fp32", "int8"])
def test_the_default_model_says_the_same_where_it_copies(
    recipe: str, params: GenerationParams, checkpoint: Checkpoint
) -> None:
    directory = exported("default", "int8") if recipe == "int8" else artefact(checkpoint, "direct", RECIPES["fp32"])
    manifest = ModelManifest.read(directory)
    tokenizer = HFTokenizer.from_file(directory / manifest.tokenizer_file)
    decoder = load_decoder(directory, manifest, threads=0)
    prompt = tokenizer.encode(
        f"<|im_start|>user\nRepeat word for word: {LETTER}<|im_end|>\n<|im_start|>assistant\n", special=True
    )
    predicted = tokenizer.encode(LETTER, special=False)
    ends = manifest.end_token_ids
    plain = answer(decoder, tokenizer, prompt, params, ends)
    looked_up = answer(decoder, tokenizer, prompt, params, ends, lambda: Speculation(prompt, step_costs=STEP_COSTS))
    guessed = answer(
        decoder, tokenizer, prompt, params, ends, lambda: Speculation(prompt, predicted, step_costs=STEP_COSTS)
    )
    for other in (looked_up, guessed):
        other.agrees(plain)
        if recipe == "int8":
            assert other.logprobs == plain.logprobs
    assert guessed.usage.accepted_prediction_tokens > 0
