"""The decode loop over a decoder whose logits are a function of the whole prefix and of nothing else."""

import itertools
import weakref
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from handler.engine.decode import generate
from handler.engine.events import Delta, Event, Finished, Stopped, Usage
from handler.engine.params import GenerationParams
from handler.engine.ports import KVArrays, KVSession
from handler.engine.step import Step
from handler.engine.text import TextDecoder
from handler.engine.widths import exact_tokens
from tests.fakes import IM_END, VOCAB_SIZE, FakeTokenizer, ScriptedDecoder, told

Script = list[int | Mapping[int, float]]
GREEDY = GenerationParams(temperature=0)
ENDS = (IM_END,)
PROMPT = tuple(range(65, 65 + 23))
# Fragments that are awkward to cut: characters of one to four bytes, and letters that stop strings are made of.
ALPHABET = [b"a", b"b", b"c", b" ", "é".encode(), "日".encode(), "🎉".encode(), b"ab", b"bc"]


class PieceTokenizer(FakeTokenizer):
    """Ids 0 to 8 stand for the fragments above; the rest stay bytes."""

    def token_bytes(self, token_id: int) -> bytes:
        return ALPHABET[token_id] if token_id < len(ALPHABET) else super().token_bytes(token_id)


@dataclass
class PrefixDecoder:
    """Logits drawn from a generator seeded by all tokens so far; fragments are likely, end tokens now and then."""

    prefill_chunk: int = 7
    company_free: bool = False
    context_window: int = 60
    vocab_size: int = VOCAB_SIZE
    sessions: list["weakref.ref[PrefixSession]"] = field(default_factory=list)

    def open(self) -> KVSession:
        session = PrefixSession(self)
        self.sessions.append(weakref.ref(session))
        return session

    def restore(self, token_ids: Sequence[int], held: KVArrays) -> KVSession:
        assert held[0].tolist() == list(token_ids)
        session = PrefixSession(self)
        session.token_ids, session.exact_length = list(token_ids), len(token_ids)
        return session

    def advance(self, sessions: Sequence[KVSession], token_ids: Sequence[int]) -> NDArray[np.float32]:
        return np.concatenate([s.forward([i]) for s, i in zip(sessions, token_ids, strict=True)])


class PrefixSession:
    def __init__(self, decoder: PrefixDecoder) -> None:
        self._decoder = decoder
        self.token_ids: list[int] = []
        self.exact_length = 0

    @property
    def length(self) -> int:
        return len(self.token_ids)

    def forward(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
        if self.exact_length == self.length:
            self.exact_length += exact_tokens(len(token_ids))
        self.token_ids += map(int, token_ids)
        assert self.length <= self._decoder.context_window
        rows = np.array([self._row(end) for end in range(self.length - logits_rows + 1, self.length + 1)])
        rows.flags.writeable = False  # nobody may write to a decoder's logits
        return rows

    def _row(self, end: int) -> NDArray[np.float32]:
        random = np.random.default_rng(zlib.crc32(np.array(self.token_ids[:end]).tobytes()))
        row = random.standard_normal(self._decoder.vocab_size).astype(np.float32)
        row[: len(ALPHABET)] += 6
        row[[0xC3, 0xF0]] += 2  # beginnings of characters, and often nothing after them
        row[IM_END] += 3
        return row

    def truncate(self, length: int) -> None:
        del self.token_ids[length:]
        self.exact_length = min(self.exact_length, length)

    @property
    def nbytes(self) -> int:
        return self.length

    def fork(self, count: int) -> "list[PrefixSession]":
        forks = [PrefixSession(self._decoder) for _ in range(count)]
        for fork in forks:
            fork.token_ids, fork.exact_length = self.token_ids.copy(), self.exact_length
        return forks

    def held(self, length: int) -> KVArrays:
        return [np.array(self.token_ids[:length])]

    def rest(self) -> None:
        """It shares nothing."""


def run(
    params: GenerationParams,
    decoder: PrefixDecoder | ScriptedDecoder | None = None,
    *,
    prompt: Sequence[int] = PROMPT,
    should_stop: Callable[[], bool] = lambda: False,
    tokenizer: FakeTokenizer | None = None,
) -> list[Event]:
    tokenizer = tokenizer or FakeTokenizer()
    return told(generate(decoder or PrefixDecoder(), tokenizer, prompt, params, ENDS, should_stop=should_stop))


def text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def stopped(events: list[Event]) -> Stopped:
    assert isinstance(events[-2], Stopped)
    return events[-2]


def stop_after(calls: int) -> Callable[[], bool]:
    """False so many times, then true."""
    counter = itertools.count()
    return lambda: next(counter) >= calls


def test_the_events_of_a_short_answer() -> None:
    assert run(GREEDY, ScriptedDecoder("Hé!", prefill_chunk=10)) == [
        Delta(text="H"),
        Delta(text=""),
        Delta(text="é"),
        Delta(text="!"),
        Stopped(reason="stop"),
        Finished(usage=Usage(prompt_tokens=23, completion_tokens=5)),
    ]


def test_a_step_comes_before_each_forward_call_and_runs_once() -> None:
    """Whether the consumer runs it or leaves it to the answer."""
    decoder = ScriptedDecoder("Hé!", prefill_chunk=10)
    fed = []
    events = generate(decoder, FakeTokenizer(), PROMPT, GREEDY, ENDS, should_stop=lambda: False)
    for event in events:
        if isinstance(event, Step):
            assert decoder.forward_calls == len(fed)
            fed.append([(feed.token_ids, feed.wanted) for feed in event.feeds])
            if len(fed) % 2:
                event.run()
    prompt = [[(PROMPT[:10], 1)], [(PROMPT[10:20], 1)], [(PROMPT[20:], 1)]]
    assert fed == prompt + [[([byte], 1)] for byte in "Hé!".encode()]
    assert decoder.forward_calls == len(fed)


def test_max_tokens_ends_the_answer_without_another_forward_call() -> None:
    decoder = ScriptedDecoder("Hello")
    assert run(replace(GREEDY, max_tokens=2), decoder) == [
        Delta(text="H"),
        Delta(text="e"),
        Stopped(reason="length"),
        Finished(usage=Usage(prompt_tokens=23, completion_tokens=2)),
    ]
    assert decoder.forward_calls == 2


def test_the_window_ends_the_answer() -> None:
    events = run(replace(GREEDY, max_tokens=100), ScriptedDecoder("abcdef", context_window=26))
    assert text(events) == "abc"
    assert stopped(events).reason == "length"


def test_an_end_token_as_the_last_allowed_token_is_a_stop() -> None:
    events = run(replace(GREEDY, max_tokens=3), ScriptedDecoder("ab"))
    assert events[-2:] == [Stopped(reason="stop"), Finished(usage=Usage(prompt_tokens=23, completion_tokens=3))]


@pytest.mark.parametrize("prompt", [(), PROMPT], ids=["empty", "as long as the window"])
def test_a_prompt_that_cannot_be_answered_is_refused(prompt: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="prompt tokens do not fit"):
        run(GREEDY, ScriptedDecoder(context_window=23), prompt=prompt)


def test_a_stop_string_across_tokens_never_shows() -> None:
    assert run(replace(GREEDY, stop=("lo w", "zzz")), ScriptedDecoder("hello world")) == [
        Delta(text="h"),
        Delta(text="e"),
        Delta(text=""),  # "l" may begin the stop string
        Delta(text="l"),  # the second one may, too
        Delta(text=""),
        Delta(text=""),
        Delta(text=""),
        Stopped(reason="stop", stop_sequence="lo w"),
        Finished(usage=Usage(prompt_tokens=23, completion_tokens=7)),
    ]


def test_a_beginning_of_a_stop_string_is_given_out_at_the_end() -> None:
    events = run(replace(GREEDY, stop=("lo w",)), ScriptedDecoder("hello"))
    assert events[-3:] == [
        Delta(text="lo"),
        Stopped(reason="stop"),
        Finished(usage=Usage(prompt_tokens=23, completion_tokens=6)),
    ]


def test_a_stop_token_ends_the_answer_and_is_not_part_of_it() -> None:
    events = run(replace(GREEDY, stop_token_ids=(ord("l"),)), ScriptedDecoder("hello"))
    assert text(events) == "he"
    assert events[-2:] == [Stopped(reason="stop"), Finished(usage=Usage(prompt_tokens=23, completion_tokens=3))]


def test_min_tokens_holds_off_end_tokens_and_stop_strings() -> None:
    script: Script = [ord("a"), {IM_END: 9.0, ord("b"): 8.0}, ord("a"), ord("b"), ord("c")]
    events = run(replace(GREEDY, min_tokens=3, stop=("ab",)), ScriptedDecoder(script))
    assert text(events) == "ababc"


def test_a_stop_string_must_begin_after_min_tokens() -> None:
    events = run(replace(GREEDY, min_tokens=2, stop=("ab",)), ScriptedDecoder("abxab"))
    assert text(events) == "abx"


def test_ignore_eos_goes_on_to_the_limit() -> None:
    script: Script = [ord("a"), {IM_END: 9.0, ord("b"): 8.0}, ord("c")]
    events = run(replace(GREEDY, ignore_eos=True, max_tokens=3), ScriptedDecoder(script))
    assert text(events) == "abc"
    assert stopped(events).reason == "length"


def test_an_answer_cut_inside_a_character_ends_in_a_replacement_character() -> None:
    events = run(replace(GREEDY, max_tokens=3), ScriptedDecoder("a🎉"))
    assert text(events) == "a\ufffd"


def test_penalties_reach_the_sampler() -> None:
    script = [{97: 5.0, 98: 4.5, 99: 4.2}] * 3
    events = run(replace(GREEDY, presence_penalty=1, max_tokens=3), ScriptedDecoder(script))
    assert text(events) == "abc"


def test_log_probabilities_are_the_models_own() -> None:
    """A bias of 100 makes the least likely token certain; its log-probability stays what the model gave it."""
    row = {97: 2.0, 98: 1.0}
    biased = run(
        GenerationParams(logit_bias={98: 100}, temperature=0.5, top_logprobs=1, max_tokens=1), ScriptedDecoder([row])
    )
    [delta] = [event for event in biased if isinstance(event, Delta)]
    normaliser = np.log(np.exp(2) + np.exp(1) + VOCAB_SIZE - 2)
    [token] = delta.tokens
    assert (delta.text, token.chosen.data, [other.data for other in token.top]) == ("b", b"b", [b"a", b"b"])
    assert token.chosen.logprob == pytest.approx(1 - normaliser)


@pytest.mark.parametrize(("calls", "expected"), [(0, ""), (2, ""), (3, "a"), (6, "abcd")])
def test_should_stop_ends_the_answer_as_length_with_the_text_so_far(calls: int, expected: str) -> None:
    """Asked before each forward call: three for the prompt here."""
    decoder = ScriptedDecoder("abcdef", prefill_chunk=10)
    events = run(GREEDY, decoder, should_stop=stop_after(calls))
    assert text(events) == expected
    assert stopped(events).reason == "length"
    assert decoder.forward_calls == calls


def test_should_stop_gives_out_what_a_stop_string_held_back() -> None:
    events = run(replace(GREEDY, stop=("abcd",)), ScriptedDecoder("abcdef"), should_stop=stop_after(2))
    assert events == [
        Delta(text=""),
        Delta(text=""),
        Delta(text="ab"),
        Stopped(reason="length"),
        Finished(usage=Usage(prompt_tokens=23, completion_tokens=2)),
    ]


def test_a_client_that_leaves_frees_the_sequence() -> None:
    decoder = PrefixDecoder()
    events = generate(decoder, FakeTokenizer(), PROMPT, GREEDY, ENDS, should_stop=lambda: False)
    next(events)
    [session] = decoder.sessions
    assert session() is not None
    events.close()
    assert session() is None


any_params = st.builds(
    GenerationParams,
    max_tokens=st.none() | st.integers(1, 40),
    temperature=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 1000),
    stop=st.lists(st.text(alphabet="abcé日 ", min_size=1, max_size=4), max_size=3).map(tuple),
    min_tokens=st.sampled_from([0, 0, 5]),
    top_k=st.sampled_from([0, 12]),
    frequency_penalty=st.sampled_from([0.0, 0.3]),
    repetition_penalty=st.sampled_from([1.0, 1.2]),
)


@settings(max_examples=60)
@given(any_params, st.integers(1, 30))
def test_the_size_of_prefill_chunks_changes_nothing(params: GenerationParams, chunk: int) -> None:
    def answer(prefill_chunk: int) -> list[Event]:
        return run(params, PrefixDecoder(prefill_chunk=prefill_chunk), tokenizer=PieceTokenizer())

    assert answer(chunk) == answer(len(PROMPT))


@settings(max_examples=100)
@given(any_params)
def test_streamed_and_folded_are_one(params: GenerationParams) -> None:
    """The oracle runs the decoder token by token with nothing held back, then decodes and cuts the whole at once."""
    tokenizer, decoder = PieceTokenizer(), PrefixDecoder()
    events = run(params, decoder, tokenizer=tokenizer)
    # The same answer without stop strings: which tokens were sampled does not depend on what is shown.
    unstopped = run(replace(params, stop=(), top_logprobs=0), decoder, tokenizer=tokenizer)
    pieces = [token.chosen.data for event in unstopped if isinstance(event, Delta) for token in event.tokens]
    whole = b"".join(pieces).decode(errors="replace")
    exempt = len("".join(map(TextDecoder().decode, pieces[: params.min_tokens])))
    ends = [
        (end, -len(stop), stop)
        for stop in params.stop
        for end in range(exempt + len(stop), len(whole) + 1)
        if whole[:end].endswith(stop)
    ]
    if not ends:
        assert text(events) == whole
        assert stopped(events) == stopped(unstopped)
    else:
        end, length, stop = min(ends)
        assert text(events) == whole[: end + length]
        assert (stopped(events).reason, stopped(events).stop_sequence) == ("stop", stop)


@settings(max_examples=100)
@given(any_params)
def test_listed_tokens_join_to_the_text_and_do_not_change_it(params: GenerationParams) -> None:
    with_logprobs = run(replace(params, top_logprobs=2), tokenizer=PieceTokenizer())
    without = run(params, tokenizer=PieceTokenizer())
    assert text(with_logprobs) == text(without)
    assert stopped(with_logprobs) == stopped(without)
    listed = b"".join(
        token.chosen.data for event in with_logprobs if isinstance(event, Delta) for token in event.tokens
    )
    if "\ufffd" not in text(with_logprobs):
        assert listed == text(with_logprobs).encode()
