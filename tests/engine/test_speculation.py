"""Guessing ahead changes no answer, whoever guesses: the oracle is the same request without guesses."""

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from handler.engine.decode import generate
from handler.engine.events import Delta, Event, Finished, Usage
from handler.engine.grammar import GrammarSpec, JsonSchemaGrammar, RegexGrammar
from handler.engine.params import GenerationParams
from handler.engine.ports import KVSession
from handler.engine.speculation import Draft, Proposer, Speculation
from handler.grammar.compiler import GrammarCompiler
from tests.fakes import IM_END, STEP_COSTS, VOCAB_SIZE, FakeTokenizer, ScriptedDecoder, told

PROMPT = tuple(b"Once more: the cat sat on the mat, the dog sat on the log.")
GREEDY = GenerationParams(temperature=0)
TOKENIZER = FakeTokenizer()
GRAMMARS = GrammarCompiler(TOKENIZER, vocab_size=VOCAB_SIZE, end_token_ids=(IM_END,))
Speculate = Callable[[], Proposer] | None


@dataclass
class CopyingDecoder:
    """Mostly repeats `text`, over and over; all else in its logits is random, by all tokens so far. Keeps the widths of
    its forward calls."""

    text: bytes = bytes(PROMPT[11:]) + b" "
    context_window: int = 160
    company_free: bool = False
    vocab_size: int = VOCAB_SIZE
    prefill_chunk: int = 256
    widths: list[int] = field(default_factory=list)

    def open(self) -> KVSession:
        return CopyingSession(self)

    def advance(self, sessions: Sequence[KVSession], token_ids: Sequence[int]) -> NDArray[np.float32]:
        return np.concatenate([s.forward([i]) for s, i in zip(sessions, token_ids, strict=True)])

    def row(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        random = np.random.default_rng(zlib.crc32(bytes(str(list(tokens)), "ascii")))
        row = random.standard_normal(self.vocab_size).astype(np.float32)
        row[97:110] += 3
        row[IM_END] += 2
        if random.random() < 0.93:
            row[self.text[len(tokens) % len(self.text)]] += 8
        return row


class CopyingSession:
    def __init__(self, decoder: CopyingDecoder, tokens: Sequence[int] = ()) -> None:
        self._decoder = decoder
        self._tokens = list(tokens)

    @property
    def length(self) -> int:
        return len(self._tokens)

    @property
    def nbytes(self) -> int:
        return self.length

    def forward(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
        self._tokens += map(int, token_ids)
        assert self.length <= self._decoder.context_window
        self._decoder.widths.append(len(token_ids))
        ends = range(self.length - logits_rows + 1, self.length + 1)
        rows = np.array([self._decoder.row(self._tokens[:end]) for end in ends])
        rows.flags.writeable = False
        return rows

    def truncate(self, length: int) -> None:
        assert length <= self.length
        del self._tokens[length:]

    def fork(self, count: int) -> "list[CopyingSession]":
        return [CopyingSession(self._decoder, self._tokens) for _ in range(count)]


class Always:
    """Guesses the same tokens each time, as many as it may."""

    def __init__(self, token_ids: Sequence[int], *, predicted: bool = False) -> None:
        self._draft = token_ids
        self._predicted = predicted

    def add(self, token_id: int) -> None:
        pass

    def propose(self, most: int) -> Draft | None:
        token_ids = tuple(self._draft[: min(most, 7)])
        return Draft(token_ids=token_ids, predicted=self._predicted) if token_ids else None

    def verified(self, drafted: int, accepted: int) -> None:
        assert 0 <= accepted <= drafted


class Knowing(Always):
    """Guesses what is known to come, with a mistake in every `mistake`-th token."""

    def __init__(self, answer: Sequence[int], mistake: int | None = None) -> None:
        tokens = [i + 1 if mistake and n % mistake == mistake - 1 else i for n, i in enumerate(answer)]
        super().__init__(tokens)
        self._answer = list(answer)

    def add(self, token_id: int) -> None:
        assert not self._answer or token_id == self._answer.pop(0)  # an end token follows what is known
        self._draft = self._draft[1:]


class Guessing(Always):
    """Guesses at random."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__(())
        self._bounds = first, last
        self._random = np.random.default_rng(0)

    def propose(self, most: int) -> Draft | None:
        self._draft = self._random.integers(*self._bounds, self._random.integers(0, 9)).tolist()
        return super().propose(most)


def run(
    params: GenerationParams,
    speculate: Speculate = None,
    *,
    decoder: CopyingDecoder | ScriptedDecoder | None = None,
    grammar: GrammarSpec | None = None,
) -> list[Event]:
    return told(
        generate(
            decoder or CopyingDecoder(),
            TOKENIZER,
            PROMPT,
            params,
            (IM_END,),
            should_stop=lambda: False,
            grammar=None if grammar is None else GRAMMARS.compile(grammar, param="response_format"),
            speculation=speculate,
        )
    )


def uncounted(events: list[Event]) -> list[Event]:
    """The events without what only guessing has to tell."""
    *rest, finished = events
    assert isinstance(finished, Finished)
    usage = replace(finished.usage, accepted_prediction_tokens=0, rejected_prediction_tokens=0)
    return [*rest, Finished(usage=usage)]


def tokens_of(params: GenerationParams, grammar: GrammarSpec | None = None) -> list[int]:
    """The tokens of the plain answer: their bytes, which no stop string holds back here."""
    events = run(replace(params, top_logprobs=0, stop=()), grammar=grammar)
    return [token.chosen.token_id for event in events if isinstance(event, Delta) for token in event.tokens]


any_params = st.builds(
    GenerationParams,
    max_tokens=st.none() | st.integers(1, 90),
    temperature=st.sampled_from([0.0, 0.3, 1.0]),
    top_p=st.sampled_from([1.0, 0.9]),
    top_k=st.sampled_from([0, 12]),
    seed=st.integers(0, 1000),
    stop=st.lists(st.sampled_from(["at", "the d", "s", ", "]), max_size=2).map(tuple),
    stop_token_ids=st.sampled_from([(), (ord("d"),)]),
    ignore_eos=st.booleans(),
    min_tokens=st.sampled_from([0, 0, 15]),
    frequency_penalty=st.sampled_from([0.0, 0.3]),
    repetition_penalty=st.sampled_from([1.0, 1.2]),
    logit_bias=st.sampled_from([{}, {ord("a"): 2.0, ord(" "): -3.0}]),
    top_logprobs=st.sampled_from([None, None, 0, 2]),
)
NAME = JsonSchemaGrammar(
    {
        "type": "object",
        "properties": {"animal": {"enum": ["the cat", "the dog"]}, "sat on": {"type": "string", "maxLength": 9}},
        "required": ["animal", "sat on"],
        "additionalProperties": False,
    }
)
any_grammar = st.sampled_from([None, None, NAME, RegexGrammar("(the (cat|dog) sat on the (mat|log)[,.] ?)*")])


def proposers(params: GenerationParams, grammar: GrammarSpec | None) -> dict[str, Speculate]:
    answer = tokens_of(params, grammar)
    return {
        "the prompt": lambda: Speculation(PROMPT, step_costs=STEP_COSTS),
        "a prediction": lambda: Speculation(PROMPT, CopyingDecoder.text, step_costs=STEP_COSTS),
        "always right": lambda: Knowing(answer),
        "now and then wrong": lambda: Knowing(answer, 5),
        "always wrong": lambda: Always([ord("~")] * 9),
        "an end": lambda: Always([IM_END, ord("a")]),
        "at random": lambda: Guessing(97, 110),
    }


@settings(max_examples=60, deadline=None)
@given(any_params, any_grammar)
def test_no_guess_changes_an_answer(params: GenerationParams, grammar: GrammarSpec | None) -> None:
    if grammar is not None:
        params = replace(params, ignore_eos=False, stop_token_ids=(), min_tokens=0)
    plain = run(params, grammar=grammar)
    for name, speculate in proposers(params, grammar).items():
        assert uncounted(run(params, speculate, grammar=grammar)) == plain, name


@pytest.mark.parametrize("max_tokens", range(1, 12))
def test_no_draft_outgrows_the_bound_or_the_window(max_tokens: int) -> None:
    """The fake decoder fails beyond its window, and a draft that is right to its end is cut in time."""
    window = len(PROMPT) + max_tokens
    narrow = CopyingDecoder(context_window=window)
    by_window = run(GREEDY, lambda: Always([ord("t")] * 9), decoder=narrow)
    decoder = CopyingDecoder(context_window=window)
    answer = tokens_of(replace(GREEDY, max_tokens=max_tokens))
    by_bound = run(replace(GREEDY, max_tokens=max_tokens), lambda: Knowing(answer), decoder=decoder)
    assert by_window == by_bound == run(replace(GREEDY, max_tokens=max_tokens))


def test_an_answer_that_copies_takes_fewer_steps() -> None:
    params = replace(GREEDY, ignore_eos=True)
    plain, looked_up, predicted = CopyingDecoder(), CopyingDecoder(), CopyingDecoder()
    run(params, decoder=plain)
    run(params, lambda: Speculation(PROMPT, step_costs=STEP_COSTS), decoder=looked_up)
    run(params, lambda: Speculation(PROMPT, tokens_of(params), step_costs=STEP_COSTS), decoder=predicted)
    assert set(plain.widths[1:]) == {1}
    assert cost(plain) > 1.5 * cost(looked_up) > 0
    assert cost(plain) > 2.5 * cost(predicted) > 0


def cost(decoder: CopyingDecoder) -> float:
    """Of the steps after the prompt, in steps of one token."""
    return sum(STEP_COSTS[width - 1] for width in decoder.widths[1:])


def test_a_right_guess_is_a_step_less() -> None:
    decoder = ScriptedDecoder("abcdefgh", prefill_chunk=256)
    events = run(GREEDY, lambda: Knowing(b"abcdefgh"), decoder=decoder)
    assert events == run(GREEDY, decoder=ScriptedDecoder("abcdefgh"))
    # The prompt; then one wider step, whose last row is the end.
    assert decoder.forward_calls == 2


def test_predicted_tokens_are_counted_as_they_were_used() -> None:
    """Of the seven that are drafted at first, five are right; the next steps guess in vain."""
    script = "abcdefXY"
    events = run(GREEDY, lambda: Always(b"bcdefgh", predicted=True), decoder=ScriptedDecoder(script))
    assert events[-1] == Finished(
        usage=Usage(
            prompt_tokens=len(PROMPT),
            completion_tokens=9,
            accepted_prediction_tokens=5,
            rejected_prediction_tokens=2 + 7 + 7,
        )
    )


def test_several_choices_are_not_guessed() -> None:
    params = replace(GREEDY, n=2, max_tokens=20)
    assert run(params, lambda: Always([ord("a")], predicted=True)) == run(params)


@pytest.mark.parametrize("guess", [97, 100])
@pytest.mark.parametrize("top_k", [0, 3])
def test_what_is_drawn_after_a_guess_has_the_models_distribution(guess: int, top_k: int) -> None:
    """The third token, drawn from the row of the second, which is guessed; chi-squared over 1,000 seeds."""
    weights = np.array([0.4, 0.3, 0.2, 0.1]) if not top_k else np.array([4, 3, 2, 0]) / 9
    row = {97 + n: float(np.log(weight)) + 30 for n, weight in enumerate([0.4, 0.3, 0.2, 0.1])}
    first: Counter[int] = Counter()
    second: Counter[int] = Counter()
    runs = 1000
    for seed in range(runs):
        params = GenerationParams(seed=seed, top_k=top_k, max_tokens=3, top_logprobs=0)
        decoder = ScriptedDecoder([97, row, row])
        events = run(params, lambda: Always([guess]), decoder=decoder)
        tokens = [token.chosen.token_id for event in events if isinstance(event, Delta) for token in event.tokens]
        first[tokens[1]] += 1
        second[tokens[2]] += 1
    for drawn in (first, second):
        expected = weights * runs
        observed = np.array([drawn[97 + n] for n in range(4)])
        possible = expected > 0
        assert observed[~possible].sum() == 0
        statistic = ((observed - expected)[possible] ** 2 / expected[possible]).sum()
        assert statistic < 16.27  # of three degrees of freedom, exceeded by chance once in a thousand
