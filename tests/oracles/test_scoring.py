"""What was said is scored as it was said, and as torch scores it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from handler.engine.decode import generate
from handler.engine.events import Delta, SampledToken
from handler.engine.params import GenerationParams
from handler.engine.ports import Decoder
from handler.engine.scoring import score
from handler.manifest import ModelManifest
from handler.ort.decoder import load_decoder
from model_export.recipes import RECIPES
from tests.fakes import FakeTokenizer
from tests.oracles.artefacts import TorchModel, artefact
from tests.oracles.tiny import random_model


@pytest.mark.parametrize("exporter", ["direct", "optimum"])
def test_an_answer_and_its_prompt_have_torchs_log_probabilities(exporter: str, tmp_path: Path) -> None:
    model, checkpoint = random_model("llama", {"num_key_value_heads": 2})
    directory = artefact(checkpoint, exporter, RECIPES["fp32"], output=tmp_path / "model")
    decoder = load_decoder(directory, ModelManifest.read(directory), threads=0)
    prompt = np.random.default_rng(0).integers(0, decoder.vocab_size, 20).tolist()
    params = GenerationParams(temperature=0, max_tokens=16, ignore_eos=True, top_logprobs=2)
    events = list(generate(decoder, FakeTokenizer(), prompt, params, (2,), should_stop=lambda: False))
    said = [token for event in events if isinstance(event, Delta) for token in event.tokens]
    whole = [*prompt, *(token.chosen.token_id for token in said)]

    scored = scores(decoder, whole)
    logits = torch.from_numpy(TorchModel(model).logits(whole))
    expected = torch.log_softmax(logits.double(), dim=-1)[range(len(whole) - 1), whole[1:]]
    assert [token.chosen.token_id for token in scored] == whole[1:]
    assert [token.chosen.logprob for token in scored] == pytest.approx(expected.tolist(), abs=1e-4)
    assert [token.chosen.logprob for token in scored[-16:]] == pytest.approx(
        [token.chosen.logprob for token in said], abs=1e-4
    )
    # A greedy answer is the most likely token each time, so the alternatives begin with it.
    assert [token.top[0].token_id for token in scored[-16:]] == whole[-16:]


def scores(decoder: Decoder, token_ids: list[int]) -> tuple[SampledToken, ...]:
    scoring = score(decoder, FakeTokenizer(), token_ids, 2, should_stop=lambda: False)
    while True:
        try:
            next(scoring)
        except StopIteration as end:
            return end.value
