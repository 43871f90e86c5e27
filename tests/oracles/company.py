"""Counts how many answers of a model differ between alone and in company: `python -m tests.oracles.company`.

Each prompt is a piece of the exporter's text; answers come a few rounds apart, eight in flight, some with long prompts.
One line of JSON for each temperature. The sampled ones have seeds: those share no step, and are to differ never.
"""

import argparse
import json
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

from handler.engine.decode import generate
from handler.engine.events import Event
from handler.engine.params import GenerationParams
from handler.manifest import ModelManifest
from handler.ort.decoder import load_decoder
from handler.tokenizer import HFTokenizer
from tests.fakes import told
from tests.models import ROOT
from tests.rounds import together

IN_FLIGHT = 8
LENGTHS = (12, 37, 20, 150, 64, 33, 300, 9)  # tokens of the prompts, in turn


class Model:
    def __init__(self, directory: Path) -> None:
        self._manifest = ModelManifest.read(directory)
        self._decoder = load_decoder(directory, self._manifest, threads=0)
        self._tokenizer = HFTokenizer.from_file(directory / self._manifest.tokenizer_file)

    def prompts(self, count: int) -> list[list[int]]:
        """Pieces of the text that begin in different places."""
        text = (ROOT / "model_export" / "data" / "evaluation.txt").read_text(encoding="utf-8")
        token_ids = self._tokenizer.encode(text, special=False)
        stride = (len(token_ids) - max(LENGTHS)) // count
        return [token_ids[stride * i : stride * i + LENGTHS[i % len(LENGTHS)]] for i in range(count)]

    def answer(self, prompt: Sequence[int], seed: int, temperature: float, tokens: int) -> Generator[Event, None, None]:
        """Sampled answers need a seed to be told twice, and so have no company; greedy ones have none, and do."""
        params = GenerationParams(
            temperature=temperature, seed=seed if temperature else None, max_tokens=tokens, ignore_eos=True
        )
        ends = self._manifest.end_token_ids
        return generate(self._decoder, self._tokenizer, prompt, params, ends, should_stop=lambda: False)

    def differing(self, count: int, temperature: float, tokens: int) -> int:
        """How many of `count` answers of `tokens` tokens are not what they are alone."""
        prompts = self.prompts(count)
        differing = 0
        for first in range(0, count, IN_FLIGHT):
            asked = [(prompts[seed], seed) for seed in range(first, min(first + IN_FLIGHT, count))]
            answers = [self.answer(prompt, seed, temperature, tokens) for prompt, seed in asked]
            found, _ = together(answers, starts=[3 * index for index in range(len(asked))])
            alone = [told(self.answer(prompt, seed, temperature, tokens)) for prompt, seed in asked]
            differing += sum(one != other for one, other in zip(found, alone, strict=True))
        return differing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "artifacts" / "default-int8", help="an artefact")
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=32, help="of each answer")
    given = parser.parse_args()
    model = Model(given.model)
    for temperature in (0.0, 1.0):
        differing = model.differing(given.prompts, temperature, given.tokens)
        result = {"model": given.model.name, "temperature": temperature, "answers": given.prompts}
        sys.stdout.write(json.dumps({**result, "tokens": given.tokens, "differing": differing}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
