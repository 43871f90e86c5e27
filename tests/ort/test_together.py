"""Answers of a real graph, together and alone: the same events, greedy and sampled, one choice and four, and under a
grammar, whenever each comes and whoever leaves."""

from collections.abc import Generator
from dataclasses import replace

import numpy as np
import pytest

from handler.engine.decode import generate
from handler.engine.events import Event
from handler.engine.params import GenerationParams
from handler.engine.ports import Decoder
from tests.engine.test_choices import template
from tests.fakes import FakeTokenizer, told
from tests.ort import decoders
from tests.rounds import together


@pytest.fixture(scope="module", params=["fp32", "int8, kernels", "int4, kernels"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    """In fp32, and by our kernels, which give a row the same bits in any company: where others round activations to 8
    bits, a last bit can grow to what decides a token."""
    return decoders.decoder(tmp_path_factory.mktemp("model"), request.param)


@pytest.mark.parametrize("seed", range(8))
def test_no_answer_of_a_real_graph_can_tell_that_it_had_company(model: Decoder, seed: int) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(2, 9))
    plain = GenerationParams(temperature=0)
    asked = [
        replace(
            plain,
            temperature=float(random.choice([0, 1])),
            seed=int(random.integers(1000)),
            n=int(random.choice([1, 1, 1, 4])),
            max_tokens=int(random.integers(1, 60)),
            presence_penalty=float(random.choice([0, 0.5])),
        )
        for _ in range(count)
    ]
    prompts = [
        decoders.tokens(int(random.choice([1, 7, 65, 129, 230, 255, 257, 400])), seed=index) for index in range(count)
    ]
    grammars = [template("name: ?, <???>") if random.random() < 0.3 else None for _ in range(count)]

    def answers() -> list[Generator[Event, None, None]]:
        return [
            generate(model, FakeTokenizer(), prompt, params, (2,), should_stop=lambda: False, grammar=grammar)
            for params, prompt, grammar in zip(asked, prompts, grammars, strict=True)
        ]

    starts = [int(start) for start in random.integers(0, 30, size=count)]
    leaving = generate(model, FakeTokenizer(), prompts[0], plain, (2,), should_stop=lambda: False)

    def left() -> Generator[Event, None, None]:
        for _ in range(int(random.integers(1, 20))):
            yield next(leaving)
        leaving.close()

    found, _ = together([*answers(), left()], starts)
    assert found[:-1] == [told(alone) for alone in answers()]
