"""The decoder with shared KV buffers: however a sequence is fed, its logits are those of one single step."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from handler.engine.ports import Decoder
from tests.ort import decoders

WIDTH_FREE = ("int8", "int8, kernels", "int4, kernels")


@pytest.fixture(scope="module", params=decoders.GRAPHS)
def graph(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(graph: str, tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    return decoders.decoder(tmp_path_factory.mktemp("model"), graph)


@pytest.fixture
def tolerance(graph: str) -> float:
    """None with 8 bits: sums of integers have no order. Of fp32 the last bits differ, and blocks of 4 bits are
    multiplied by another kernel where there are several rows, but by ours."""
    return {"fp32": 1e-4, "int4": 0.02}.get(graph, 0)


@pytest.mark.parametrize("split", [[20], [1] * 20, [7, 13], [1, 19], [19, 1], [3, 4, 1, 1, 11]], ids=str)
def test_any_split_of_a_prompt_is_the_whole(model: Decoder, tolerance: float, split: list[int]) -> None:
    token_ids = decoders.tokens(20)
    session = model.open()
    found, start = [], 0
    for step in split:
        found.append(session.forward(token_ids[start : start + step], step).copy())
        start += step
    np.testing.assert_allclose(np.concatenate(found), decoders.logits(model, token_ids), atol=tolerance)


def test_truncating_and_going_on_is_a_fresh_start(model: Decoder, tolerance: float) -> None:
    kept, dropped, other = decoders.tokens(9), decoders.tokens(30, seed=2), decoders.tokens(5, seed=3)
    session = model.open()
    session.forward(kept + dropped)
    session.truncate(len(kept))
    assert session.length == len(kept)
    found = session.forward(other, len(other))
    np.testing.assert_allclose(found, decoders.logits(model, kept + other)[len(kept) :], atol=tolerance)


@pytest.mark.parametrize("split", [[300], [2] * 150, [7, 251, 42], [250, 50]], ids=str)
def test_in_steps_of_several_tokens_the_kv_is_the_same_to_the_bit(model: Decoder, graph: str, split: list[int]) -> None:
    """What a prefix cache relies on, and what `exact_length` tells."""
    token_ids = decoders.tokens(300)
    whole, session = model.open(), model.open()
    whole.forward(token_ids)
    start = 0
    for step in split:
        session.forward(token_ids[start : start + step])
        start += step
    session.forward([1])
    assert (session.length, session.token_ids) == (301, [*token_ids, 1])
    assert session.exact_length == (301 if graph in WIDTH_FREE else 300)
    for found, expected in zip(session.held(300), whole.held(300), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("graph", WIDTH_FREE)
def test_what_these_run_one_by_one_is_the_same_to_the_bit_too(tmp_path: Path, graph: str) -> None:
    model, token_ids = decoders.decoder(tmp_path, graph), decoders.tokens(40)
    whole, session = model.open(), model.open()
    whole.forward(token_ids)
    for token_id in token_ids:
        session.forward([token_id])
    assert session.exact_length == 40
    for found, expected in zip(session.held(40), whole.held(40), strict=True):
        np.testing.assert_array_equal(found, expected)
    model.advance([session, model.open()], [1, 2])
    assert session.exact_length == (41 if model.company_free else 40)  # rounded otherwise in company


def test_a_restored_beginning_goes_its_own_way(model: Decoder) -> None:
    token_ids, other = decoders.tokens(300), decoders.tokens(20, seed=2)
    session, fresh = model.open(), model.open()
    session.forward(token_ids)
    restored = model.restore(token_ids[:260], session.held(260))
    found = restored.forward(other).copy()
    assert (restored.token_ids, restored.exact_length, session.length) == (token_ids[:260] + other, 280, 300)
    fresh.forward(token_ids[:200])
    np.testing.assert_array_equal(found, fresh.forward(token_ids[200:260] + other))


def test_one_that_rests_leaves_the_rows_of_the_others(model: Decoder) -> None:
    token_ids = decoders.tokens(20)
    session = model.open()
    session.forward(token_ids)
    first, second = session.fork(2)
    model.advance([first, second], [3, 4])
    first.rest()
    model.advance([second, session], [5, 6])
    assert (first.token_ids, second.token_ids) == ([*token_ids, 3], [*token_ids, 4, 5])
    for found, expected in zip(first.held(20), session.held(20), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_growing_buffers_keep_what_they_hold(model: Decoder, tolerance: float) -> None:
    token_ids = decoders.tokens(600)  # buffers of 256, 512 and 1,024 positions
    session = model.open()
    for start in range(0, 600, 50):
        found = session.forward(token_ids[start : start + 50])
    np.testing.assert_allclose(found[0], decoders.logits(model, token_ids)[-1], atol=tolerance)


def test_only_the_wanted_rows_come_back(model: Decoder, tolerance: float) -> None:
    token_ids = decoders.tokens(12)
    found = model.open().forward(token_ids, 3)
    assert found.shape == (3, model.vocab_size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, decoders.logits(model, token_ids)[-3:], atol=tolerance)


def test_sessions_of_one_decoder_step_in_different_threads(model: Decoder) -> None:
    prompts = [decoders.tokens(40, seed) for seed in range(4)]

    def generate(prompt: list[int]) -> list[int]:
        session, ids, answer = model.open(), prompt, []
        for _ in range(12):
            ids = [int(session.forward(ids)[0].argmax())]
            answer += ids
        return answer

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(generate, prompts))
    assert together == [generate(prompt) for prompt in prompts]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    return decoders.decoder(tmp_path_factory.mktemp("small"), max_position_embeddings=16)


def test_the_window_can_be_filled_and_not_outgrown(small: Decoder) -> None:
    token_ids = decoders.tokens(17)
    session = small.open()
    session.forward(token_ids[:15])
    with pytest.raises(ValueError, match="17 positions do not fit the context window of 16"):
        session.forward(token_ids[15:])
    assert session.length == 15
    np.testing.assert_allclose(
        session.forward(token_ids[15:16])[0], decoders.logits(small, token_ids[:16])[-1], atol=1e-4
    )


@pytest.mark.parametrize("rows", [0, 4])
def test_rows_outside_the_step_are_refused(small: Decoder, rows: int) -> None:
    with pytest.raises(ValueError, match=f"between 1 and the 3 tokens of the step, not {rows}"):
        small.open().forward([1, 2, 3], rows)


@pytest.mark.parametrize("length", [-1, 4])
def test_truncating_to_what_is_not_there_is_refused(small: Decoder, length: int) -> None:
    session = small.open()
    session.forward([1, 2, 3])
    with pytest.raises(ValueError, match=f"cannot truncate 3 positions to {length}"):
        session.truncate(length)


def test_a_decoder_says_what_it_is(tmp_path: Path) -> None:
    model = decoders.decoder(tmp_path, max_position_embeddings=64)
    assert (model.vocab_size, model.context_window, model.open().length) == (320, 64, 0)
    assert model.prefill_chunk >= 1
