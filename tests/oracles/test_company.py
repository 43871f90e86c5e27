"""The default model answers in company as it does alone."""

import pytest

from tests.models import exported
from tests.oracles.company import Model

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(exported("default", "int8"))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_no_answer_of_the_default_model_can_tell_that_it_had_company(model: Model, temperature: float) -> None:
    assert model.differing(8, temperature, tokens=24) == 0
