"""Sequences that share steps, come and go, sit steps out and go on alone: what each is by itself.

To the bit in the graphs of our kernels. ONNX Runtime's attention rounds the only token of a sequence among others in
another way than it does alone.
"""

import gc
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from handler.engine.ports import Decoder, KVSession
from handler.ort import kv_buffers
from handler.ort.pool import MOST_IDLE
from handler.ort.shared import SharedKVDecoder
from tests.ort import decoders
from tests.ort.test_batch import alone, begun

LENGTHS = (300, 5, 40, 120)


@pytest.fixture(scope="module", params=["fp32", "int8, kernels", "int4, kernels"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    """In fp32, where a difference in rounding does not grow, or where there is none."""
    return decoders.decoder(tmp_path_factory.mktemp("model"), request.param)


class Pair:
    """A sequence that may have neighbours, and one with the same tokens that never has any."""

    def __init__(self, session: KVSession, mirror: KVSession, tolerance: float) -> None:
        self.session = session
        self.mirror = mirror
        self.tolerance = tolerance

    @classmethod
    def begin(cls, model: Decoder, prompt: list[int]) -> "Pair":
        return cls(begun(model, prompt), begun(model, prompt), 0 if model.company_free else 1e-4)

    def forward(self, token_ids: list[int]) -> None:
        rows = len(token_ids)
        self.same(self.session.forward(token_ids, rows).copy(), self.mirror.forward(token_ids, rows).copy())

    def same(self, found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
        np.testing.assert_allclose(found, expected, rtol=0, atol=self.tolerance)

    def truncate(self, length: int) -> None:
        self.session.truncate(length)
        self.mirror.truncate(length)

    def fork(self) -> "Pair":
        return Pair(self.session.fork(1)[0], self.mirror.fork(1)[0], self.tolerance)


def advance(model: Decoder, pairs: list[Pair], token_ids: list[int]) -> None:
    rows = model.advance([pair.session for pair in pairs], token_ids)
    for pair, token_id, row in zip(pairs, token_ids, rows, strict=True):
        pair.same(row, pair.mirror.forward([token_id])[0])


def test_each_row_is_at_its_own_position(model: Decoder) -> None:
    pairs = [Pair.begin(model, decoders.tokens(length, seed=length)) for length in LENGTHS]
    for step in range(20):
        advance(model, pairs, decoders.tokens(len(pairs), seed=step))


def test_a_row_does_not_depend_on_how_many_share_its_step(model: Decoder) -> None:
    """To the bit, from one neighbour on."""
    prompts = [decoders.tokens(length, seed=length) for length in LENGTHS]
    four = [begun(model, prompt) for prompt in prompts]
    two = [begun(model, prompt) for prompt in prompts[:2]]
    for step in range(20):
        token_ids = decoders.tokens(4, seed=step)
        rows = model.advance(four, token_ids)[:2].copy()
        np.testing.assert_array_equal(model.advance(two, token_ids[:2]), rows)


@pytest.mark.parametrize("seed", range(6))
def test_whoever_comes_and_goes_leaves_no_trace(model: Decoder, seed: int) -> None:
    """Joins, ends, steps sat out, steps alone, forks, and lengths around the doublings of the buffers, at random."""
    random = np.random.default_rng(seed)
    pairs: list[Pair] = []
    for _ in range(120):
        match random.choice(["begin", "end", "alone", "truncate", "fork", *["advance"] * 10]):
            case "begin" if len(pairs) < 9:
                length = int(random.choice([1, 3, 20, 200, 250, 255, 256, 257, 500]))
                pairs.append(Pair.begin(model, decoders.tokens(length, seed=int(random.integers(1000)))))
            case "end" if pairs:
                pairs.pop(int(random.integers(len(pairs))))
            case "alone" if pairs:
                pairs[int(random.integers(len(pairs)))].forward(decoders.tokens(int(random.integers(1, 9))))
            case "truncate" if pairs:
                pair = pairs[int(random.integers(len(pairs)))]
                pair.truncate(int(random.integers(max(1, pair.session.length // 2), pair.session.length + 1)))
            case "fork" if 0 < len(pairs) < 9:
                pairs.append(pairs[int(random.integers(len(pairs)))].fork())
            case "advance" if pairs:
                count = int(random.integers(1, len(pairs) + 1))
                chosen = [pairs[index] for index in random.permutation(len(pairs))[:count]]
                for _ in range(int(random.integers(1, MOST_IDLE + 3))):
                    advance(model, chosen, [int(token) for token in random.integers(320, size=count)])


def test_a_row_that_sits_out_too_long_moves_out_and_may_come_back(model: Decoder) -> None:
    idle, *others = [Pair.begin(model, decoders.tokens(30, seed=seed)) for seed in range(3)]
    advance(model, [idle, *others], [1, 2, 3])
    for step in range(2 * MOST_IDLE):
        advance(model, others, [step, step + 1])
    idle.forward([7, 8, 9])
    advance(model, [idle, *others], [4, 5, 6])


def test_a_row_that_sits_out_at_the_end_of_the_window_is_left_alone(tmp_path: Path) -> None:
    model = decoders.decoder(tmp_path, max_position_embeddings=16)
    full, other = Pair.begin(model, decoders.tokens(15)), Pair.begin(model, decoders.tokens(3))
    advance(model, [full, other], [1, 2])
    for token_id in range(3, 9):
        advance(model, [other], [token_id])
    full.truncate(15)
    full.forward([9])


def test_where_memory_ends_the_rows_stay_as_they_were(model: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [decoders.tokens(5 + number, number) for number in range(5)]
    sessions = [model.open() for _ in prompts]
    for session, prompt in zip(sessions, prompts, strict=True):
        session.forward(prompt)
    model.advance(sessions[:4], [1, 2, 3, 4])

    def none_left(*_shape: object) -> NDArray[np.float32]:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(kv_buffers, "_empty", none_left)
        with pytest.raises(MemoryError):
            model.advance(sessions, [5, 6, 7, 8, 9])
    found = model.advance(sessions, [5, 6, 7, 8, 9])
    for number, prompt in enumerate(prompts):
        tokens = [*prompt, number + 1] if number < 4 else prompt
        alone = decoders.logits(model, [*tokens, number + 5])[-1]
        np.testing.assert_allclose(found[number], alone, atol=0 if model.company_free else 0.02)


def test_buffers_go_with_their_sequences(tmp_path: Path) -> None:
    """One row stays with its sequence; the next sequence that opens finds the rest freed."""
    model = decoders.decoder(tmp_path)
    assert isinstance(model, SharedKVDecoder)
    sessions = [begun(model, decoders.tokens(9)) for _ in range(4)]
    row = sessions[0].nbytes
    model.advance(sessions, [1, 2, 3, 4])
    assert [session.nbytes for session in sessions] == [row] * 4
    assert model.pool_nbytes == 4 * row
    kept = sessions.pop()
    sessions.clear()
    gc.collect()
    model.open()
    assert model.pool_nbytes == 0
    assert kept.nbytes == row
    np.testing.assert_allclose(kept.forward([5]), alone(model, decoders.tokens(9), [4, 5])[-1:], atol=1e-4)
