"""Sequences that advance together: each is what it would be alone."""

from pathlib import Path

import numpy as np
import pytest

from handler.engine.ports import Decoder
from handler.ort.growing import GrowingKVDecoder
from tests.ort import decoders, test_growing

TOLERANCE = {"fp32": 1e-4, "int8": 0.02, "int8-blocks": 0.02, "int4": 0.02}


@pytest.fixture(scope="module", params=list(TOLERANCE))
def recipe(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(recipe: str, tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    return decoders.decoder(tmp_path_factory.mktemp(recipe), recipe)


def test_each_sequence_is_what_it_would_be_alone(model: Decoder, recipe: str) -> None:
    """Over the growth of the buffers at 256 positions, and after sequences have ended."""
    prompt = decoders.tokens(250)
    answers = [decoders.tokens(12, seed) for seed in (2, 3, 4, 5)]
    session = model.open()
    session.forward(prompt)
    batch = session.fork(4)
    rows = list(range(4))
    found: list[list[np.ndarray]] = [[] for _ in rows]
    for step in range(12):
        if step == 4:
            rows = [1, 3]
            batch.keep([1, 3])
        if step == 10:
            rows = [3]
            batch.keep([1])
        for row, logits in zip(rows, batch.forward([answers[row][step] for row in rows]), strict=True):
            found[row].append(logits.copy())
    for row, answer in enumerate(answers):
        alone = decoders.logits(model, prompt + answer)[250 : 250 + len(found[row])]
        np.testing.assert_allclose(found[row], alone, atol=TOLERANCE[recipe])


def test_the_sequence_itself_stays_as_it_is(model: Decoder, recipe: str) -> None:
    prompt = decoders.tokens(20)
    session = model.open()
    session.forward(prompt)
    session.fork(2).forward([5, 6])
    assert session.length == 20
    np.testing.assert_allclose(session.forward([7]), decoders.logits(model, [*prompt, 7])[-1:], atol=TOLERANCE[recipe])


def test_a_batch_cannot_outgrow_the_window(tmp_path: Path) -> None:
    session = decoders.decoder(tmp_path, max_position_embeddings=4).open()
    session.forward([1, 2, 3])
    batch = session.fork(2)
    batch.forward([4, 5])
    with pytest.raises(ValueError, match="5 positions do not fit the context window of 4"):
        batch.forward([6, 7])


def test_growing_tensors_are_copied_and_dropped_by_sequence() -> None:
    """The graph's sums are over all sequences: of the mask, the keys held and the values held."""
    session = GrowingKVDecoder(test_growing.session(), test_growing.manifest()).open()
    session.forward([3, 4])
    batch = session.fork(3)
    sums = [9, 3 * (3 + 4) + 5 + 6 + 8, -3 * (3 + 4) - 5 - 6 - 8]
    assert batch.forward([5, 6, 8]).tolist() == [[token, 2, *sums] for token in (5, 6, 8)]
    batch.keep([0, 2])
    sums = [8, 2 * (3 + 4) + 5 + 8 + 1 + 2, -2 * (3 + 4) - 5 - 8 - 1 - 2]
    assert batch.forward([1, 2]).tolist() == [[1, 3, *sums], [2, 3, *sums]]
    assert session.forward([1]).tolist() == [[1, 2, 3, 8, -8]]
