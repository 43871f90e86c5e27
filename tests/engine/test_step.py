"""Steps: whoever runs them, and in whatever pieces, an answer sees the same logits."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from handler.engine.ports import KVSession
from handler.engine.step import Feed, Step
from tests.engine.test_decode import PrefixDecoder

PROMPT = [65, 66, 67, 68, 69]


def fresh(text: Sequence[int], wanted: int) -> NDArray[np.float32]:
    return PrefixDecoder().open().forward(text, wanted)


@pytest.mark.parametrize("most", [2, 3, 4, 5, None])
@pytest.mark.parametrize("wanted", [1, 3, 5])
@pytest.mark.parametrize("drafts", [(), (97, 98)], ids=["no drafts", "drafts"])
def test_a_feed_run_in_pieces_is_the_whole(most: int | None, wanted: int, drafts: tuple[int, ...]) -> None:
    feed = Feed(PrefixDecoder().open(), PROMPT, wanted, drafts)
    while not feed.is_over:
        feed.run(most)
    np.testing.assert_array_equal(feed.logits, fresh([*PROMPT, *drafts], wanted + len(drafts)))


@pytest.mark.parametrize("length", range(2, 20))
@pytest.mark.parametrize("most", [2, 3, 7])
def test_no_piece_is_one_token(length: int, most: int) -> None:
    feed = Feed(PrefixDecoder().open(), [65] * length)
    pieces = []
    while not feed.is_over:
        pieces.append(feed.run(most))
    assert sum(pieces) == length
    assert set(pieces[:-1]) <= {most}
    assert 2 <= pieces[-1] <= most + 1


def test_what_has_been_run_is_not_run_again() -> None:
    session = PrefixDecoder().open()
    step = Step(PrefixDecoder(), [Feed(session, PROMPT)])
    step.run()
    step.run()
    assert session.length == 5


def test_feeds_of_one_token_share_a_call_and_longer_ones_run_alone() -> None:
    calls: list[int] = []

    class Counting(PrefixDecoder):
        def advance(self, sessions: Sequence[KVSession], token_ids: Sequence[int]) -> NDArray[np.float32]:
            calls.append(len(sessions))
            return super().advance(sessions, token_ids)

    decoder = Counting()
    texts = [[65], [66, 67], [68]]
    step = Step(decoder, [Feed(decoder.open(), text) for text in texts])
    step.run()
    assert calls == [2]
    for feed, text in zip(step.feeds, texts, strict=True):
        np.testing.assert_array_equal(feed.logits, fresh(text, 1))


class Failing(PrefixDecoder):
    """Cannot run the token 13, alone or with others."""

    def advance(self, sessions: Sequence[KVSession], token_ids: Sequence[int]) -> NDArray[np.float32]:
        if 13 in token_ids:
            raise RuntimeError("thirteen")
        return super().advance(sessions, token_ids)


class FailingSession:
    """A session of its."""

    length = 0
    nbytes = 0

    def forward(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
        raise RuntimeError(f"thirteen: {token_ids}, {logits_rows}")

    def truncate(self, length: int) -> None:
        self.length = length

    def fork(self, count: int) -> list[KVSession]:
        return [self] * count


def test_whose_fault_it_is_fails_and_its_neighbours_do_not() -> None:
    decoder = Failing()
    step = Step(decoder, [Feed(decoder.open(), [65]), Feed(FailingSession(), [13]), Feed(decoder.open(), [66])])
    step.run()
    np.testing.assert_array_equal(step.feeds[0].logits, fresh([65], 1))
    np.testing.assert_array_equal(step.feeds[2].logits, fresh([66], 1))
    with pytest.raises(RuntimeError, match="thirteen"):
        _ = step.feeds[1].logits


def test_logits_of_what_has_not_been_run_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="has not been run"):
        _ = Feed(PrefixDecoder().open(), PROMPT).logits
