"""What is kept of earlier answers, who may go on from it, and what goes first. A token weighs one byte."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from handler.engine.ports import KVArrays, KVSession
from handler.engine.prefix_cache import MIN_TOKENS, PrefixCache
from handler.engine.widths import exact_tokens

ALICE, BOB = b"alice", b"bob"
SYSTEM = list(range(100, 140))
HELLO = list(range(200, 220))
ANSWER = list(range(300, 320))


class Held:
    """A session that computes nothing."""

    def __init__(self, token_ids: Sequence[int] = (), capacity: int = 0) -> None:
        self.token_ids = list(token_ids)
        self.exact_length = len(self.token_ids)
        self._capacity = capacity

    @property
    def length(self) -> int:
        return len(self.token_ids)

    @property
    def nbytes(self) -> int:
        return max(self._capacity, self.length)

    def forward(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
        if self.exact_length == self.length:
            self.exact_length += exact_tokens(len(token_ids))
        self.token_ids += map(int, token_ids)
        return np.zeros((logits_rows, 1), np.float32)

    def truncate(self, length: int) -> None:
        del self.token_ids[length:]
        self.exact_length = min(self.exact_length, length)

    def held(self, length: int) -> KVArrays:
        assert MIN_TOKENS <= length <= self.length
        return [np.array(self.token_ids[:length])]

    def rest(self) -> None:
        """It shares nothing."""

    def fork(self, count: int) -> Sequence[KVSession]:
        return [Held(self.token_ids) for _ in range(count)]


class Decoder:
    vocab_size = 1
    context_window = 4096
    company_free = False
    prefill_chunk = 256

    def open(self) -> Held:
        return Held()

    def restore(self, token_ids: Sequence[int], held: KVArrays) -> Held:
        assert held[0].tolist() == list(token_ids)
        return Held(token_ids)

    def advance(self, sessions: Sequence[KVSession], token_ids: Sequence[int]) -> NDArray[np.float32]:
        return np.concatenate([s.forward([i]) for s, i in zip(sessions, token_ids, strict=True)])


def cache(budget: int = 1000, *baked: Sequence[int]) -> PrefixCache:
    return PrefixCache(Decoder(), budget=budget, baked=[Held(token_ids) for token_ids in baked])


def answer(prefixes: PrefixCache, prompt: Sequence[int], reply: Sequence[int] = (), *, tenant: bytes = ALICE) -> int:
    """A request from beginning to end. How many tokens of its prompt were there already."""
    session = prefixes.open(prompt, tenant)
    found = session.length
    assert list(session.token_ids) == list(prompt[:found])
    session.forward([*prompt[found:], *reply])
    prefixes.keep(session, tenant)
    return found


def test_a_conversation_goes_on_where_it_was_without_a_copy() -> None:
    prefixes = cache()
    first = prefixes.open(SYSTEM, ALICE)
    first.forward(SYSTEM + ANSWER)
    prefixes.keep(first, ALICE)
    second = prefixes.open(SYSTEM + ANSWER + HELLO, ALICE)
    assert second is first
    assert second.length == 60
    assert prefixes.nbytes == 0


def test_a_few_tokens_of_an_answer_that_come_back_otherwise_are_cut_off_without_a_copy() -> None:
    prefixes = cache()
    first = prefixes.open(SYSTEM, ALICE)
    first.forward(SYSTEM + ANSWER)
    prefixes.keep(first, ALICE)
    second = prefixes.open(SYSTEM + ANSWER[:5] + HELLO, ALICE)
    assert second is first
    assert list(second.token_ids) == SYSTEM + ANSWER[:5]


def test_a_shared_beginning_is_copied_and_stays() -> None:
    prefixes = cache()
    answer(prefixes, SYSTEM + HELLO, ANSWER)
    assert answer(prefixes, SYSTEM + ANSWER, HELLO) == 40
    assert answer(prefixes, [*SYSTEM, *HELLO, *ANSWER, 1, 2]) == 80
    assert answer(prefixes, [*SYSTEM, *ANSWER, *HELLO, 1, 2]) == 80


def test_the_last_two_tokens_of_a_prompt_are_always_run() -> None:
    prefixes = cache()
    assert [answer(prefixes, SYSTEM) for _ in range(3)] == [0, 38, 38]
    assert prefixes.nbytes == 40


@pytest.mark.parametrize(("shared", "found"), [(MIN_TOKENS - 1, 0), (MIN_TOKENS, MIN_TOKENS)])
def test_what_is_too_short_is_not_worth_it(shared: int, found: int) -> None:
    prefixes = cache()
    answer(prefixes, SYSTEM)
    assert answer(prefixes, SYSTEM[:shared] + HELLO) == found


def test_generated_tokens_go_on_only_if_so_wished() -> None:
    """Their KV is not exact. Here they came one by one, as they do."""
    turn = [*SYSTEM, *ANSWER, *HELLO]
    for answers, found in ((False, 40), (True, 60)):
        prefixes = PrefixCache(Decoder(), budget=1000, answers=answers)
        session = prefixes.open(SYSTEM, ALICE)
        session.forward(SYSTEM)
        for token_id in ANSWER:
            session.forward([token_id])
        assert prefixes.open(turn, ALICE).length == found  # in flight
        prefixes.keep(session, ALICE)
        assert prefixes.open(turn, ALICE).length == found


def test_what_is_kept_yields_to_answers_in_flight_but_for_what_is_gone_on_from() -> None:
    free = [1000]
    prefixes = PrefixCache(Decoder(), budget=1000, free=lambda: free[0])
    answer(prefixes, HELLO * 4)
    answer(prefixes, SYSTEM)
    kept = prefixes.nbytes
    free[0] = 0
    assert answer(prefixes, [*SYSTEM, *HELLO]) > 0
    assert prefixes.nbytes < kept
    assert answer(prefixes, HELLO * 4) == 0


def test_an_answer_too_short_is_not_kept() -> None:
    prefixes = cache()
    answer(prefixes, SYSTEM[: MIN_TOKENS - 1])
    assert prefixes.nbytes == 0


def test_a_turn_supersedes_the_turn_before_it() -> None:
    prefixes = cache()
    answer(prefixes, SYSTEM)
    other = Held(SYSTEM + ANSWER)  # of an answer that was in flight beside it
    prefixes.keep(other, ALICE)
    assert prefixes.nbytes == 60


def test_what_a_longer_one_holds_is_not_kept_twice() -> None:
    prefixes = cache()
    answer(prefixes, SYSTEM, ANSWER)
    prefixes.keep(Held(SYSTEM + ANSWER[:4]), ALICE)
    prefixes.keep(Held([*SYSTEM, 1, 2, 3]), ALICE)
    assert prefixes.nbytes == 60
    assert answer(prefixes, SYSTEM + ANSWER + HELLO) == 60


def test_the_least_recently_used_goes_first() -> None:
    prefixes = cache(100)
    prompts = [[start + token for token in range(40)] for start in (0, 1000, 2000)]
    answer(prefixes, prompts[0])
    answer(prefixes, prompts[1])
    assert answer(prefixes, prompts[0]) == 38  # used again
    answer(prefixes, prompts[2])
    assert prefixes.nbytes == 80
    assert [prefixes.open(prompt, ALICE).length for prompt in prompts] == [38, 0, 38]


def test_buffers_count_as_large_as_they_are() -> None:
    prefixes = cache(100)
    answer(prefixes, SYSTEM)
    prefixes.keep(Held(HELLO, capacity=70), ALICE)
    assert prefixes.nbytes == 70
    prefixes.keep(Held(ANSWER, capacity=101), ALICE)
    assert prefixes.nbytes == 70


def test_without_a_budget_nothing_is_kept() -> None:
    prefixes = cache(0)
    assert [answer(prefixes, SYSTEM) for _ in range(2)] == [0, 0]


def test_a_tenant_sees_its_own_only() -> None:
    prefixes = cache()
    answer(prefixes, SYSTEM)
    assert answer(prefixes, SYSTEM, tenant=BOB) == 0
    assert answer(prefixes, SYSTEM, tenant=BOB) == 38
    assert prefixes.nbytes == 80


def test_an_answer_in_flight_lends_its_beginning() -> None:
    prefixes = cache()
    first = prefixes.open(SYSTEM + HELLO, ALICE)
    first.forward(SYSTEM)
    second = prefixes.open(SYSTEM + ANSWER, ALICE)
    assert list(second.token_ids) == SYSTEM
    assert prefixes.open(SYSTEM + ANSWER, BOB).length == 0
    assert first.length == 40


def test_an_answer_that_failed_lends_nothing() -> None:
    prefixes = cache()
    session = prefixes.open(SYSTEM, ALICE)
    session.forward(SYSTEM)
    del session
    assert answer(prefixes, SYSTEM) == 0


def test_what_came_with_the_model_is_for_everyone_and_stays() -> None:
    prefixes = cache(0, SYSTEM)
    assert [answer(prefixes, SYSTEM + HELLO, tenant=tenant) for tenant in (ALICE, BOB, ALICE)] == [40, 40, 40]


def test_what_came_with_the_model_is_not_kept_again() -> None:
    prefixes = cache(1000, SYSTEM)
    prefixes.keep(Held(SYSTEM[:30]), ALICE)
    assert prefixes.nbytes == 0


tokens = st.lists(st.sampled_from([0, 1]), min_size=1, max_size=60)


@settings(max_examples=100)
@given(st.lists(st.tuples(tokens, tokens, st.sampled_from([ALICE, BOB]), st.booleans()), max_size=12))
def test_a_session_holds_what_the_prompt_begins_with_and_the_budget_holds(
    requests: list[tuple[list[int], list[int], bytes, bool]],
) -> None:
    """Each request is a prompt, a reply, a tenant, and whether it stays in flight. Two tokens: much is shared."""
    prefixes, flying = cache(150, [0] * 20), []
    for prompt, reply, tenant, stays in requests:
        session = prefixes.open(prompt, tenant)
        assert list(session.token_ids) == prompt[: session.length]
        assert session.length <= max(0, len(prompt) - 2)
        assert session not in flying
        session.forward(prompt[session.length :] + reply)
        if stays:
            flying.append(session)
        else:
            prefixes.keep(session, tenant)
        assert prefixes.nbytes <= 150
