"""Raw completions: prompts as the caller wrote them, each continued; the prompt given back with its own scores."""

import dataclasses
import math

import pytest

from handler.chat.completion import Constraint, Echo, EchoedToken, Prompt, prepare_completion
from handler.chat.raw import RawText
from handler.chat.service import ServedModel
from handler.engine.events import Delta, Finished, SampledToken, Stopped, TokenLogprob, Usage
from handler.engine.grammar import ChoiceGrammar
from handler.engine.params import GenerationParams
from handler.errors import ContextLengthExceeded, InvalidRequest, UnsupportedValue
from tests.fakes import END_OF_TEXT, IM_END, IM_START, VOCAB_SIZE, FakeTokenizer, ScriptedDecoder, chat_service, told

GREEDY = GenerationParams(temperature=0, max_tokens=16)
EVEN = -math.log(VOCAB_SIZE)  # what the scripted model thinks of any token of a prompt: all are alike to it


class SpaceFirst(FakeTokenizer):
    """SentencePiece's way: a text is encoded with a space before it."""

    def encode(self, text: str, *, special: bool) -> list[int]:
        return super().encode(f" {text}", special=special)


def model(decoder: ScriptedDecoder | None = None, **changes: object) -> ServedModel:
    return dataclasses.replace(chat_service(decoder, template=None).model, **changes)


def evenly(token_id: int, data: bytes) -> SampledToken:
    return SampledToken(
        chosen=TokenLogprob(token_id=token_id, data=data, logprob=pytest.approx(EVEN, abs=1e-6)), top=()
    )


def test_a_prompt_is_continued_as_it_is() -> None:
    decoder = ScriptedDecoder("is")
    prepared = prepare_completion(model(decoder), ["this "], GREEDY, echo=False)
    assert prepared.prompt_tokens == 5
    assert told(prepared.events()) == [
        Delta(text="i"),
        Delta(text="s"),
        Stopped(reason="stop"),
        Finished(usage=Usage(prompt_tokens=5, completion_tokens=3)),
    ]
    assert decoder.prompts == [list(b"this ")]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        (dataclasses.replace(GREEDY, stop_token_ids=(65,)), "stop_token_ids"),
        (dataclasses.replace(GREEDY, ignore_eos=True), "ignore_eos"),
    ],
    ids=["stop_token_ids", "ignore_eos"],
)
def test_what_would_break_a_format_is_refused(params: GenerationParams, field: str) -> None:
    constraint = Constraint(ChoiceGrammar(("a", "b")), "structured_outputs.choice")
    with pytest.raises(UnsupportedValue) as error:
        prepare_completion(model(), ["x"], params, echo=False, constraint=constraint)
    assert error.value.param == field


def test_preparing_runs_nothing() -> None:
    decoder = ScriptedDecoder()
    prepare_completion(model(decoder), ["x"], GREEDY, echo=True).events()
    assert decoder.forward_calls == 0


def test_choices_are_numbered_through_the_prompts_and_usage_is_summed() -> None:
    decoder = ScriptedDecoder("y")
    params = dataclasses.replace(GREEDY, n=2)
    events = list(prepare_completion(model(decoder), ["a", (98, 99)], params, echo=False).events())
    assert [event for event in events if isinstance(event, Delta)] == [Delta(text="y", choice=i) for i in range(4)]
    assert [event for event in events if isinstance(event, Stopped)] == [
        Stopped(reason="stop", choice=i) for i in range(4)
    ]
    assert events[-1] == Finished(usage=Usage(prompt_tokens=3, completion_tokens=8))


def test_markers_in_a_raw_prompt_are_meant() -> None:
    decoder = ScriptedDecoder()
    text = "<|im_start|>user\nhi<|im_end|>"
    list(prepare_completion(model(decoder), [text], GREEDY, echo=False).events())
    assert decoder.prompts == [[IM_START, *b"user\nhi", IM_END]]


@pytest.mark.parametrize(
    ("prompt", "add_start", "token_ids"),
    [
        ("hi", True, (END_OF_TEXT, *b"hi")),
        ("hi", False, tuple(b"hi")),
        (tuple(b"hi"), True, tuple(b"hi")),
        ("", True, (END_OF_TEXT,)),
        ("", False, (IM_START,)),
    ],
    ids=str,
)
def test_a_start_token_is_added_to_text_where_the_tokenizer_adds_one(
    prompt: Prompt, add_start: bool, token_ids: tuple[int, ...]
) -> None:
    served = model(start_token_ids=(END_OF_TEXT,), bos_token_id=IM_START)
    prepared = prepare_completion(served, [prompt], GREEDY, echo=False, add_start=add_start)
    assert prepared.prompts[0].token_ids == token_ids


def test_an_empty_prompt_is_the_beginning_of_a_document() -> None:
    prepared = prepare_completion(model(bos_token_id=END_OF_TEXT), [""], GREEDY, echo=True)
    assert prepared.prompts[0].token_ids == (END_OF_TEXT,)
    assert Echo(choice=0, text="") in list(prepared.events())


def test_a_model_without_a_beginning_refuses_an_empty_prompt() -> None:
    with pytest.raises(InvalidRequest, match="no token that begins a document") as error:
        prepare_completion(model(), [""], GREEDY, echo=False)
    assert error.value.param == "prompt"


@pytest.mark.parametrize("token_id", [-1, VOCAB_SIZE])
def test_token_ids_that_the_model_lacks_are_refused(token_id: int) -> None:
    with pytest.raises(InvalidRequest, match=f"token id {token_id}; this model's ids run from 0 to 258") as error:
        prepare_completion(model(), [(1, token_id)], GREEDY, echo=False)
    assert error.value.param == "prompt"
    with pytest.raises(InvalidRequest) as error:
        prepare_completion(model(), ["x"], dataclasses.replace(GREEDY, logit_bias={token_id: 1}), echo=False)
    assert error.value.param == "logit_bias"


def test_any_prompt_that_fills_the_window_is_refused() -> None:
    decoder = ScriptedDecoder(context_window=4)
    with pytest.raises(ContextLengthExceeded) as error:
        prepare_completion(model(decoder), ["x", "four"], GREEDY, echo=False)
    assert (error.value.param, error.value.message) == (
        "prompt",
        "This model's maximum context length is 4 tokens. However, your prompt resulted in 4 tokens."
        " Please reduce the length of the prompt.",
    )


def test_a_prompt_that_is_only_run_may_fill_the_window() -> None:
    decoder = ScriptedDecoder(context_window=4)
    params = dataclasses.replace(GREEDY, max_tokens=0, n=2)
    assert list(prepare_completion(model(decoder), ["four"], params, echo=True).events()) == [
        Echo(choice=0, text="four"),
        Echo(choice=1, text="four"),
        Stopped(reason="length", choice=0),
        Stopped(reason="length", choice=1),
        Finished(usage=Usage(prompt_tokens=4, completion_tokens=0)),
    ]
    assert decoder.forward_calls == 0


def test_an_echo_with_log_probabilities_tells_them_of_every_token_but_the_first() -> None:
    params = dataclasses.replace(GREEDY, max_tokens=0, top_logprobs=0)
    events = told(prepare_completion(model(), ["ab<|im_end|>"], params, echo=True).events())
    assert events[:1] == [
        Echo(
            choice=0,
            text="ab<|im_end|>",
            tokens=(
                EchoedToken(token_id=97, shown=b"a", sampled=None),
                EchoedToken(token_id=98, shown=b"b", sampled=evenly(98, b"b")),
                EchoedToken(token_id=IM_END, shown=b"<|im_end|>", sampled=SampledToken(chosen=_best(IM_END), top=())),
            ),
        ),
    ]


def _best(token_id: int) -> TokenLogprob:
    """What the scripted model wants to say: the fake gives it all its logits at the last position only."""
    return TokenLogprob(token_id=token_id, data=b"", logprob=pytest.approx(-100, abs=1e-3))


def test_a_start_token_of_ours_is_scored_but_not_shown() -> None:
    params = dataclasses.replace(GREEDY, max_tokens=0, top_logprobs=0)
    served = model(start_token_ids=(END_OF_TEXT,))
    echo = told(prepare_completion(served, ["ab"], params, echo=True).events())[0]
    assert isinstance(echo, Echo)
    assert echo.text == "ab"
    assert [(token.token_id, token.shown) for token in echo.tokens] == [(END_OF_TEXT, b""), (97, b"a"), (98, b"b")]
    assert [token.sampled is None for token in echo.tokens] == [True, False, False]


def test_a_space_of_the_vocabularys_own_is_not_shown() -> None:
    params = dataclasses.replace(GREEDY, max_tokens=0, top_logprobs=0)
    echo = told(prepare_completion(model(tokenizer=SpaceFirst()), ["ab"], params, echo=True).events())[0]
    assert isinstance(echo, Echo)
    assert [token.shown for token in echo.tokens] == [b"", b"a", b"b"]


def test_told_to_stop_every_choice_ends() -> None:
    params = dataclasses.replace(GREEDY, top_logprobs=0)
    prepared = prepare_completion(model(), ["ab", "c"], params, echo=True)
    assert list(prepared.events(lambda: True)) == [
        Echo(choice=0, text="ab", tokens=(EchoedToken(token_id=97, shown=b"a", sampled=None),)),
        Stopped(reason="length", choice=0),
        Echo(choice=1, text="c", tokens=(EchoedToken(token_id=99, shown=b"c", sampled=None),)),
        Stopped(reason="length", choice=1),
        Finished(usage=Usage(prompt_tokens=3, completion_tokens=0)),
    ]


def test_raw_text_comes_back_as_it_went_in() -> None:
    for tokenizer in (FakeTokenizer(), SpaceFirst()):
        raw = RawText(model(tokenizer=tokenizer, start_token_ids=(END_OF_TEXT,)))
        assert raw.decode(raw.encode("Größe", add_start=False)) == "Größe"
    assert raw.encode("a", add_start=True) == (END_OF_TEXT, *b" a")
    assert raw.decode([0xC3]) == "\ufffd"
