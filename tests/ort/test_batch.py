"""Sequences that advance in one step: each is what it would be alone."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from handler.engine.ports import Decoder, KVSession
from handler.ort.growing import GrowingKVDecoder
from tests.ort import decoders, test_growing

TOLERANCE = {"fp32": 1e-4, "int8": 0.02, "int8-blocks": 0.02, "int4": 0.02, "int8, kernels": 0, "int4, kernels": 0}


@pytest.fixture(scope="module", params=list(TOLERANCE))
def graph(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(graph: str, tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    return decoders.decoder(tmp_path_factory.mktemp("model"), graph)


def begun(model: Decoder, prompt: list[int]) -> KVSession:
    session = model.open()
    session.forward(prompt)
    return session


def alone(model: Decoder, prompt: list[int], answer: list[int]) -> NDArray[np.float32]:
    """The logits after each token of `answer`, of a sequence that has no neighbours."""
    session = begun(model, prompt)
    return np.concatenate([session.forward([token_id]).copy() for token_id in answer])


def test_forks_go_their_own_ways(model: Decoder, graph: str) -> None:
    """Over the growth of the buffers at 256 positions, and after sequences have ended."""
    prompt = decoders.tokens(250)
    answers = [decoders.tokens(12, seed) for seed in (2, 3, 4, 5)]
    session = begun(model, prompt)
    forks = session.fork(4)
    rows = list(range(4))
    found: list[list[NDArray[np.float32]]] = [[] for _ in rows]
    for step in range(12):
        rows = {4: [1, 3], 10: [3]}.get(step, rows)
        logits = model.advance([forks[row] for row in rows], [answers[row][step] for row in rows])
        for row, found_row in zip(rows, logits, strict=True):
            found[row].append(found_row.copy())
    for row, answer in enumerate(answers):
        expected = alone(model, prompt, answer)[: len(found[row])]
        np.testing.assert_allclose(found[row], expected, atol=TOLERANCE[graph])


def test_the_sequence_itself_stays_as_it_is(model: Decoder, graph: str) -> None:
    prompt = decoders.tokens(20)
    session = begun(model, prompt)
    model.advance(session.fork(2), [5, 6])
    assert session.length == 20
    np.testing.assert_allclose(session.forward([7]), alone(model, prompt, [7]), atol=TOLERANCE[graph])


def test_one_that_would_outgrow_the_window_changes_none(tmp_path: Path) -> None:
    model = decoders.decoder(tmp_path, max_position_embeddings=4)
    short, full = begun(model, [1, 2]), begun(model, [1, 2, 3, 4])
    with pytest.raises(ValueError, match="5 positions do not fit the context window of 4"):
        model.advance([short, full], [6, 7])
    assert (short.length, full.length) == (2, 4)
    np.testing.assert_array_equal(short.forward([6]), alone(model, [1, 2], [6]))


def test_growing_tensors_are_copied() -> None:
    """The graph's sums are over all sequences of a step: of the mask, the keys held and the values held."""
    model = GrowingKVDecoder(test_growing.session(), test_growing.manifest())
    session = begun(model, [3, 4])
    first, second = session.fork(2)
    model.advance([first, second], [5, 6])
    assert first.forward([1]).tolist() == [[1, 3, 4, 3 + 4 + 5 + 1, -3 - 4 - 5 - 1]]
    assert second.forward([2]).tolist() == [[2, 3, 4, 3 + 4 + 6 + 2, -3 - 4 - 6 - 2]]
    assert session.forward([1]).tolist() == [[1, 2, 3, 8, -8]]


def test_growing_sequences_of_one_length_share_a_call_and_others_do_not() -> None:
    """A call's sums tell who took part: one of two sequences counts both masks."""
    model = GrowingKVDecoder(test_growing.session(), test_growing.manifest())
    first, second, longer = begun(model, [1]), begun(model, [2]), begun(model, [3, 4])
    masks = [row[2] for row in model.advance([first, longer, second], [1, 1, 1]).tolist()]
    assert masks == [4, 3, 4]
    assert [session.length for session in (first, second, longer)] == [2, 2, 3]
    first.forward([3])
    assert model.advance([second, first], [5, 6]).tolist() == [[5, 2, 3, 2 + 1 + 5, -8], [6, 3, 4, 1 + 1 + 3 + 6, -11]]
    second.truncate(1)
    assert second.forward([7]).tolist() == [[7, 1, 2, 9, -9]]
