"""Several choices over one prompt, and choices under a grammar."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from handler.engine.decode import generate
from handler.engine.events import Delta, Event, Finished, Stopped, Usage
from handler.engine.params import GenerationParams
from handler.engine.ports import Grammar
from handler.engine.sampling import choice_seed
from tests.engine.test_decode import PROMPT, PieceTokenizer, PrefixDecoder, any_params
from tests.fakes import IM_END, FakeTokenizer, ScriptedDecoder, told

GREEDY = GenerationParams(temperature=0)
ENDS = (IM_END,)


class Template:
    """A grammar of fixed bytes and free places, `?`: a, b or c. `forcing`: it tells what must follow."""

    def __init__(self, text: str, *, forcing: bool) -> None:
        self._rest = text.encode()
        self._forcing = forcing

    def mask(self, row: NDArray[np.float32]) -> None:
        allowed = b"abc" if self._rest[:1] == b"?" else self._rest[:1]
        mask = np.full_like(row, -np.inf)
        mask[list(allowed) or [IM_END]] = 0
        row += mask

    def accept(self, token_id: int) -> None:
        assert token_id in (b"abc" if self._rest[:1] == b"?" else self._rest[:1])
        self._rest = self._rest[1:]

    def forced(self) -> Sequence[int]:
        return list(self._rest.partition(b"?")[0]) if self._forcing else []

    @property
    def finished(self) -> bool:
        return not self._rest


def template(text: str, *, forcing: bool = True) -> Callable[[], Grammar]:
    return lambda: Template(text, forcing=forcing)


def run(
    params: GenerationParams,
    decoder: PrefixDecoder | ScriptedDecoder | None = None,
    *,
    grammar: Callable[[], Grammar] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    tokenizer: FakeTokenizer | None = None,
) -> list[Event]:
    decoder, tokenizer = decoder or PrefixDecoder(), tokenizer or FakeTokenizer()
    return told(generate(decoder, tokenizer, PROMPT, params, ENDS, should_stop=should_stop, grammar=grammar))


def of(events: Sequence[Event], choice: int) -> list[Event]:
    """One choice's events, as if it were the only one."""
    return [replace(e, choice=0) for e in events if isinstance(e, Delta | Stopped) and e.choice == choice]


def text(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def test_choices_advance_side_by_side_over_one_run_of_the_prompt() -> None:
    decoder = ScriptedDecoder("ab")
    assert run(replace(GREEDY, n=2), decoder) == [
        Delta(text="a", choice=0),
        Delta(text="a", choice=1),
        Delta(text="b", choice=0),
        Delta(text="b", choice=1),
        Stopped(reason="stop", choice=0),
        Stopped(reason="stop", choice=1),
        Finished(usage=Usage(prompt_tokens=23, completion_tokens=6)),
    ]
    assert decoder.forward_calls == 3
    assert decoder.prompts == [list(PROMPT)]


@settings(max_examples=60, deadline=None)
@given(any_params, st.integers(2, 5), st.booleans())
def test_each_choice_is_the_answer_to_a_request_of_its_own(params: GenerationParams, n: int, logprobs: bool) -> None:
    params = replace(params, top_logprobs=1 if logprobs else None)
    together = run(replace(params, n=n), tokenizer=PieceTokenizer())
    total = 0
    for index in range(n):
        alone = run(replace(params, seed=choice_seed(params.seed, index)), tokenizer=PieceTokenizer())
        assert of(together, index) == alone[:-1]
        assert isinstance(alone[-1], Finished)
        total += alone[-1].usage.completion_tokens
    assert together[-1] == Finished(usage=Usage(prompt_tokens=23, completion_tokens=total))


def test_the_first_choice_has_the_requests_own_seed_and_no_two_share_one() -> None:
    assert choice_seed(7, 0) == 7
    assert len({choice_seed(seed, index) for seed in range(-50, 50) for index in range(128)}) == 100 * 128
    assert choice_seed(None, 3) is None


def test_choices_end_together_when_time_is_up() -> None:
    calls = iter([False, False, True])
    assert run(replace(GREEDY, n=2), ScriptedDecoder("abcdef"), should_stop=lambda: next(calls)) == [
        Delta(text="a", choice=0),
        Delta(text="a", choice=1),
        Delta(text="b", choice=0),
        Delta(text="b", choice=1),
        Stopped(reason="length", choice=0),
        Stopped(reason="length", choice=1),
        Finished(usage=Usage(prompt_tokens=23, completion_tokens=4)),
    ]


def test_a_prompt_that_is_not_run_ends_every_choice() -> None:
    assert run(replace(GREEDY, n=2), should_stop=lambda: True) == [
        Stopped(reason="length", choice=0),
        Stopped(reason="length", choice=1),
        Finished(usage=Usage(prompt_tokens=23, completion_tokens=0)),
    ]


def test_a_grammar_decides_and_its_end_is_a_stop_without_an_end_token() -> None:
    decoder = ScriptedDecoder("zzzzzz")
    assert run(GREEDY, decoder, grammar=template("<?>")) == [
        Delta(text="<"),
        Delta(text="a"),
        Delta(text=">"),
        Stopped(reason="stop"),
        Finished(usage=Usage(prompt_tokens=23, completion_tokens=3)),
    ]


def test_forced_tokens_take_one_forward_call() -> None:
    decoder = ScriptedDecoder("zzzzzzzzzzz")
    assert text(run(GREEDY, decoder, grammar=template("name: ?, age: ?"))) == "name: a, age: a"
    assert decoder.forward_calls == 3  # the prompt, "name: ", "a, age: "


@settings(max_examples=60, deadline=None)
@given(
    st.text(alphabet="?xyz", min_size=1, max_size=25),
    any_params,
    st.sampled_from([1, 3]),
    st.sampled_from([None, 2]),
    st.integers(1, 9),
)
def test_forcing_changes_nothing_but_the_number_of_steps(
    shape: str, params: GenerationParams, n: int, top_logprobs: int | None, chunk: int
) -> None:
    """At temperature 0: a forced token draws no random number. Log-probabilities are the model's own either way."""
    params = replace(params, n=n, temperature=0, top_logprobs=top_logprobs)

    def answer(*, forcing: bool) -> list[list[Event]]:
        decoder = PrefixDecoder(prefill_chunk=chunk)
        events = run(params, decoder, grammar=template(shape, forcing=forcing))
        return [of(events, index) for index in range(n)] + [events[-1:]]

    assert answer(forcing=True) == answer(forcing=False)


def test_an_answer_cut_within_forced_text_ends_with_length() -> None:
    decoder = ScriptedDecoder("zzzzzz")
    events = run(replace(GREEDY, max_tokens=3), decoder, grammar=template("forced text"))
    assert text(events) == "for"
    assert events[-2:] == [Stopped(reason="length"), Finished(usage=Usage(prompt_tokens=23, completion_tokens=3))]
    assert decoder.forward_calls == 1


def test_a_stop_string_in_forced_text_ends_the_answer() -> None:
    events = run(replace(GREEDY, stop=("ed t",)), grammar=template("forced text"))
    assert text(events) == "forc"
    assert events[-2] == Stopped(reason="stop", stop_sequence="ed t")


@pytest.mark.parametrize("n", [1, 2])
def test_where_a_grammar_can_only_end_min_tokens_cannot_hold_it(n: int) -> None:
    events = run(replace(GREEDY, min_tokens=10, n=n), grammar=template("ab"))
    assert [text(of(events, index)) for index in range(n)] == ["ab"] * n
    assert events[-2] == Stopped(reason="stop", choice=n - 1)


class EndOnly(Template):
    """Does not know that it is finished until it is asked for a mask."""

    finished = False


@pytest.mark.parametrize("params", [GenerationParams(min_tokens=9), GenerationParams(ignore_eos=True)], ids=str)
def test_a_row_in_which_everything_is_masked_is_an_end(params: GenerationParams) -> None:
    events = run(params, grammar=lambda: EndOnly("ab", forcing=False))
    assert text(events) == "ab"
    assert events[-2:] == [Stopped(reason="stop"), Finished(usage=Usage(prompt_tokens=23, completion_tokens=2))]


def test_a_grammar_is_the_last_word_against_a_bias() -> None:
    params = replace(GREEDY, logit_bias={ord("z"): 100, ord("b"): 50})
    assert text(run(params, grammar=template("?"))) == "b"


def test_penalties_count_forced_tokens() -> None:
    """`a` was forced, so the penalty makes `b` likelier."""
    rows = [{97: 5.0, 98: 4.5}] * 3
    events = run(replace(GREEDY, presence_penalty=1), ScriptedDecoder(rows), grammar=template("aa?"))
    assert text(events) == "aab"
