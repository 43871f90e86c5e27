"""The default model answers in company as it does alone, in fp32. In 8 bits a bit can grow to what decides a token:
`python -m tests.oracles.company` counts how often."""

import pytest

from model_export.checkpoint import Checkpoint
from model_export.recipes import RECIPES
from tests.oracles.artefacts import artefact
from tests.oracles.company import Model

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_no_answer_of_the_default_model_can_tell_that_it_had_company(
    checkpoint: Checkpoint, temperature: float
) -> None:
    model = Model(artefact(checkpoint, "direct", RECIPES["fp32"]))
    assert model.differing(4, temperature, tokens=16) == 0
