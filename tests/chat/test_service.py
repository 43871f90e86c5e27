import pytest

from handler.chat.conversation import Conversation, Message
from handler.chat.deltas import Stopped, TextDelta
from handler.chat.service import ChatService
from handler.chat.tools import ChatTools, Tool
from handler.engine.events import Finished, Usage
from handler.engine.grammar import RegexGrammar
from handler.engine.params import GenerationParams
from handler.errors import ArtifactError, ContextLengthExceeded, InvalidRequest, UnsupportedValue
from tests.fakes import VOCAB_SIZE, FakeTokenizer, ScriptedDecoder, chat_service, told

HI = Conversation(messages=(Message(role="user", content="Hi"),))
HI_PROMPT = "⟦im_start⟧user\nHi⟦im_end⟧\n⟦im_start⟧assistant\n"
HI_TOKENS = 21
GREEDY = GenerationParams(temperature=0)


def test_a_chat_is_answered() -> None:
    decoder = ScriptedDecoder("Yes")
    prepared = chat_service(decoder).prepare(HI, GREEDY)
    assert prepared.prompt_tokens == HI_TOKENS
    assert told(prepared.events()) == [
        TextDelta(text="Y"),
        TextDelta(text="e"),
        TextDelta(text="s"),
        Stopped(reason="stop"),
        Finished(usage=Usage(prompt_tokens=HI_TOKENS, completion_tokens=4)),
    ]
    assert [FakeTokenizer().text(prompt) for prompt in decoder.prompts] == [HI_PROMPT]


def test_preparing_runs_nothing() -> None:
    decoder = ScriptedDecoder()
    chat_service(decoder).prepare(HI, GREEDY).events()
    assert decoder.forward_calls == 0


def test_an_answer_stops_when_told() -> None:
    events = list(chat_service().prepare(HI, GREEDY).events(lambda: True))
    assert events == [Stopped(reason="length"), Finished(usage=Usage(prompt_tokens=HI_TOKENS, completion_tokens=0))]


@pytest.mark.parametrize("window", [HI_TOKENS, HI_TOKENS - 5], ids=["exactly as long", "longer"])
def test_a_prompt_that_fills_the_window_is_refused_with_both_counts(window: int) -> None:
    service = chat_service(ScriptedDecoder(context_window=window))
    with pytest.raises(ContextLengthExceeded) as error:
        service.prepare(HI, GREEDY)
    assert error.value.message == (
        f"This model's maximum context length is {window} tokens. However, your messages resulted in {HI_TOKENS}"
        " tokens. Please reduce the length of the messages."
    )


def test_a_prompt_that_fits_runs_to_the_end_of_the_window() -> None:
    decoder = ScriptedDecoder("Hello", context_window=HI_TOKENS + 1)
    events = told(chat_service(decoder).prepare(HI, GenerationParams(temperature=0, max_tokens=100)).events())
    assert events == [
        TextDelta(text="H"),
        Stopped(reason="length"),
        Finished(usage=Usage(prompt_tokens=HI_TOKENS, completion_tokens=1)),
    ]


def test_a_base_model_does_not_chat() -> None:
    with pytest.raises(UnsupportedValue, match="has no chat template: use /v1/completions"):
        chat_service(template=None).prepare(HI, GREEDY)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        pytest.param(GenerationParams(logit_bias={VOCAB_SIZE: 1}), "logit_bias", id="logit_bias"),
        pytest.param(GenerationParams(stop_token_ids=(-1,)), "stop_token_ids", id="stop_token_ids"),
    ],
)
def test_a_token_id_outside_the_vocabulary_is_refused(params: GenerationParams, field: str) -> None:
    with pytest.raises(InvalidRequest, match=r"ids run from 0 to 258\.$") as error:
        chat_service().prepare(HI, params)
    assert error.value.param == field


def test_stop_tokens_and_ignored_ends_go_with_text_alone() -> None:
    service, tool = chat_service(), Tool(name="f")
    stops, endless = GenerationParams(stop_token_ids=(65,)), GenerationParams(ignore_eos=True)
    service.prepare(HI, stops)
    service.prepare(HI, stops, tools=ChatTools(tools=(tool,), choice="none"))
    service.prepare(HI, endless, tools=ChatTools(tools=(tool,)))
    for params, field in ((stops, "stop_token_ids"), (endless, "ignore_eos")):
        with pytest.raises(UnsupportedValue) as error:
            service.prepare(HI, params, response_format=RegexGrammar("a+"))
        assert error.value.param == field


def test_warming_up_finds_a_broken_template_before_the_first_chat() -> None:
    chat_service().warm()
    chat_service(template=None).warm()
    with pytest.raises(ArtifactError, match="not valid Jinja"):
        chat_service(template="{% if %}").warm()


def test_one_preparation_can_be_answered_more_than_once() -> None:
    service: ChatService = chat_service(ScriptedDecoder([{97: 1.0, 98: 1.0}] * 30))
    prepared = service.prepare(HI, GenerationParams(seed=5, max_tokens=30))
    assert told(prepared.events()) == told(prepared.events())
