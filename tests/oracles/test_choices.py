"""On the real model: choices in one batch are answers of their own; what a grammar forces is what it would allow."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from handler.engine.decode import generate
from handler.engine.events import Delta, Stopped
from handler.engine.grammar import JsonSchemaGrammar
from handler.engine.params import GenerationParams
from handler.engine.ports import Decoder, Grammar
from handler.engine.sampling import choice_seed
from handler.grammar.compiler import GrammarCompiler
from handler.manifest import ModelManifest
from handler.ort.decoder import load_decoder
from handler.tokenizer import HFTokenizer
from model_export.checkpoint import Checkpoint
from model_export.recipes import RECIPES
from tests.models import exported
from tests.oracles.artefacts import artefact

pytestmark = pytest.mark.timeout(900)

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "city": {"enum": ["Paris", "London"]},
    },
    "required": ["name", "age", "city"],
    "additionalProperties": False,
}
PROMPT = "<|im_start|>user\nDescribe Ann, 31, of Paris, as JSON.<|im_end|>\n<|im_start|>assistant\n"


class Model:
    def __init__(self, directory: Path) -> None:
        self._manifest = manifest = ModelManifest.read(directory)
        self._decoder: Decoder = load_decoder(directory, manifest, threads=0)
        self.tokenizer = HFTokenizer.from_file(directory / manifest.tokenizer_file)
        self.grammars = GrammarCompiler(
            self.tokenizer, vocab_size=manifest.vocab_size, end_token_ids=manifest.end_token_ids
        )

    def answers(
        self, params: GenerationParams, spec: JsonSchemaGrammar | None = None, *, forcing: bool = True
    ) -> list[str]:
        """The texts of all choices, each followed by why it ended."""
        make = None if spec is None else self.grammars.compile(spec, param="response_format")
        grammar = make if make is None or forcing else lambda: Unforced(make())
        prompt = self.tokenizer.encode(PROMPT, special=True)
        ends = self._manifest.end_token_ids
        texts = [""] * params.n
        for event in generate(
            self._decoder, self.tokenizer, prompt, params, ends, should_stop=lambda: False, grammar=grammar
        ):
            if isinstance(event, Delta):
                texts[event.choice] += event.text
            elif isinstance(event, Stopped):
                texts[event.choice] += f"⟦{event.reason}⟧"
        return texts


class Unforced:
    """The same grammar, all of whose tokens are sampled."""

    def __init__(self, grammar: Grammar) -> None:
        self.mask, self.accept = grammar.mask, grammar.accept
        self._grammar = grammar

    def forced(self) -> Sequence[int]:
        return ()

    @property
    def finished(self) -> bool:
        return self._grammar.finished


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(exported("default", "int8"))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_choices_in_one_batch_are_answers_of_their_own(checkpoint: Checkpoint, temperature: float) -> None:
    """In fp32: rows that share a step round otherwise than one alone, and 8 bits can make a token of that."""
    model = Model(artefact(checkpoint, "direct", RECIPES["fp32"]))
    params = GenerationParams(n=4, temperature=temperature, seed=5, max_tokens=24)
    alone = [
        text for index in range(4) for text in model.answers(replace(params, n=1, seed=choice_seed(params.seed, index)))
    ]
    assert model.answers(params) == alone


def test_a_choice_does_not_depend_on_how_many_there_are(model: Model) -> None:
    params = GenerationParams(n=4, temperature=1, seed=5, max_tokens=24)
    assert model.answers(params)[:2] == model.answers(replace(params, n=2))


def test_a_schema_is_kept_by_every_choice_and_forcing_changes_nothing(model: Model) -> None:
    params = GenerationParams(n=2, temperature=0, max_tokens=60)
    texts = model.answers(params, JsonSchemaGrammar(PERSON))
    for text in texts:
        assert text.endswith("⟦stop⟧")
        jsonschema.validate(json.loads(text.removesuffix("⟦stop⟧")), PERSON)
    assert model.answers(params, JsonSchemaGrammar(PERSON), forcing=False) == texts


def test_an_answer_that_is_cut_ends_with_length(model: Model) -> None:
    [text] = model.answers(GenerationParams(temperature=0, max_tokens=5), JsonSchemaGrammar(PERSON))
    [whole] = model.answers(GenerationParams(temperature=0, max_tokens=60), JsonSchemaGrammar(PERSON))
    assert text.startswith('{"name": "An')
    assert text.endswith("⟦length⟧")
    assert whole.startswith(text.removesuffix("⟦length⟧"))
