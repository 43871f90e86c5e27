"""Texts become vectors in batches: how they are grouped, padded, pooled and shortened."""

import numpy as np
import pytest

from handler.engine.embedding import Embedded, Pooling, Vectors, batches, embed, padded, pooled
from handler.errors import DeadlineExceeded, ServerFault
from tests.embedding_fakes import FakeEncoder

MEAN = Vectors(pooling="mean", normalize=False)


def test_texts_of_like_length_share_a_batch_that_holds_so_many_positions_and_no_more() -> None:
    assert list(batches([5, 1, 4, 1, 9], positions=10)) == [(1, 3), (2, 0), (4,)]


def test_a_text_longer_than_a_batch_is_one_alone() -> None:
    assert list(batches([30, 2], positions=10)) == [(1,), (0,)]


def test_nothing_makes_no_batch() -> None:
    assert list(batches([])) == []


def test_padding_is_masked_and_at_the_end() -> None:
    token_ids, mask = padded([[7, 8, 9], [5]])
    assert token_ids.tolist() == [[7, 8, 9], [5, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize(
    ("pooling", "expected"), [("mean", [[2, 3], [9, 9]]), ("cls", [[1, 2], [9, 9]]), ("last", [[3, 4], [9, 9]])]
)
def test_each_pooling_leaves_padding_out(pooling: Pooling, expected: list[list[int]]) -> None:
    hidden = np.array([[[1, 2], [3, 4]], [[9, 9], [np.nan, np.nan]]], np.float32)
    mask = np.array([[1, 1], [1, 0]])
    assert pooled(hidden, mask, Vectors(pooling=pooling, normalize=False)).tolist() == expected


def test_normalised_vectors_have_length_1_and_zeros_stay_zeros() -> None:
    hidden = np.array([[[3, 4]], [[0, 0]]], np.float32)
    vectors = pooled(hidden, np.ones((2, 1), np.int64), Vectors(pooling="cls", normalize=True))
    assert vectors.tolist() == [[np.float32(0.6), np.float32(0.8)], [0, 0]]


def test_fewer_dimensions_are_the_first_ones_at_length_1() -> None:
    hidden = np.array([[[3, 4, 12]]], np.float32)
    shape = Vectors(pooling="cls", normalize=False, dimensions=2)
    assert pooled(hidden, np.ones((1, 1), np.int64), shape).tolist() == [[np.float32(0.6), np.float32(0.8)]]


def test_all_dimensions_are_the_vector_as_it_is() -> None:
    hidden = np.array([[[3, 4]]], np.float32)
    shape = Vectors(pooling="cls", normalize=False, dimensions=2)
    assert pooled(hidden, np.ones((1, 1), np.int64), shape).tolist() == [[3, 4]]


def test_every_text_gets_its_vector_whatever_batch_it_is_in() -> None:
    encoder = FakeEncoder()
    done: dict[int, list[float]] = {}
    for batch in embed(encoder, [[200] * 200, [2, 4], [6], [100] * 100], MEAN):
        done |= dict(zip(batch.indices, batch.vectors.tolist(), strict=True))
    assert encoder.shapes == [(2, 2), (1, 100), (1, 200)]
    assert done == {0: [200, 1, -200, 0], 1: [3, 1, -3, 0], 2: [6, 1, -6, 0], 3: [100, 1, -100, 0]}


def test_a_deadline_ends_it_between_two_batches() -> None:
    over = False
    steps = embed(FakeEncoder(), [[1] * 200, [2] * 200], MEAN, lambda: over)
    assert isinstance(next(steps), Embedded)
    over = True
    with pytest.raises(DeadlineExceeded):
        next(steps)


def test_what_is_no_number_is_a_fault_and_no_answer() -> None:
    class Broken(FakeEncoder):
        def encode(self, token_ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
            return np.full((*token_ids.shape, 4), np.nan * mask.max(), np.float32)

    with pytest.raises(ServerFault):
        list(embed(Broken(), [[1]], MEAN))
