import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.chat.answer_reader import AnswerReader, Reading, new_call_id
from handler.chat.deltas import ReasoningDelta, Stopped, TextDelta, ToolCallArguments, ToolCallStart
from handler.chat.dialects.hermes import HERMES
from handler.chat.thinking import ThinkMarks
from handler.engine import events as engine
from handler.engine.events import SampledToken, TokenLogprob

READING = Reading(marks=ThinkMarks("<think>", "</think>"), form=HERMES, names=("f",))


def token(data: bytes, token_id: int = 0) -> SampledToken:
    return SampledToken(chosen=TokenLogprob(token_id=token_id, data=data, logprob=-1.0), top=())


def test_an_answer_is_thought_then_text_then_calls() -> None:
    reader = AnswerReader(2, READING, new_id=lambda: "call_1")
    pieces = ["<think>", "Hm.", "</think>", "\nOK", '\n<tool_call>\n{"name": "f"', ', "arguments": {', "}", "}"]
    events = [event for piece in pieces for event in reader.delta(engine.Delta(text=piece, choice=2))]
    events += reader.stopped(engine.Stopped(reason="stop", choice=2))
    nothing = TextDelta(text="", choice=2)
    assert events == [
        nothing,
        ReasoningDelta(text="Hm.", choice=2),
        nothing,
        TextDelta(text="OK", choice=2),
        nothing,
        ToolCallStart(call=0, id="call_1", name="f", choice=2),
        ToolCallArguments(call=0, text="{", choice=2),
        ToolCallArguments(call=0, text="}", choice=2),
        nothing,
        Stopped(reason="tool_calls", choice=2),
    ]
    assert reader.reasoning_tokens == 3


@pytest.mark.parametrize(
    ("text", "named", "reason", "told"),
    [
        pytest.param(HERMES.begin[0] + 'f", "arguments": {}}', False, "stop", "tool_calls", id="calls"),
        pytest.param(HERMES.begin[0] + 'f", "arguments": {}}', True, "stop", "stop", id="a named call"),
        pytest.param(HERMES.begin[0] + 'f", "arguments": {}}', False, "length", "length", id="the limit"),
        pytest.param(HERMES.begin[0] + 'f", "arguments": {', False, "stop", "stop", id="a stop string in a call"),
        pytest.param("Hello", False, "stop", "stop", id="text"),
    ],
)
def test_why_an_answer_ended(text: str, named: bool, reason: engine.FinishReason, told: str) -> None:
    reader = AnswerReader(0, Reading(form=HERMES, names=("f",), named=named))
    reader.delta(engine.Delta(text=text))
    stopped = reader.stopped(engine.Stopped(reason=reason))[-1]
    assert isinstance(stopped, Stopped)
    assert stopped.reason == told


def test_ids_of_calls_are_unique() -> None:
    first, second = new_call_id(), new_call_id()
    assert first != second
    assert len(first) == len("call_") + 24


answers = st.lists(st.sampled_from(["<think>", "</think>", " ", "a\n", "é", "<tool", "\n<"]), max_size=6).map("".join)
thinking = st.builds("{}{}{}".format, st.sampled_from(["", "<think>", "<think>a\n</think>"]), answers, answers)


@given(thinking, st.data())
def test_the_bytes_of_the_tokens_join_to_the_text(text: str, data: st.DataObject) -> None:
    """However tokens and markers overlap."""
    whole = text.encode()
    reader = AnswerReader(0, READING)
    events = []
    start = 0
    while start < len(whole):  # deltas of whole characters, each of one or two tokens
        end = start + data.draw(st.integers(1, 6))
        while end < len(whole) and whole[end] & 0xC0 == 0x80:
            end += 1
        part = whole[start:end]
        cut = data.draw(st.integers(0, len(part) - 1))
        tokens = tuple(token(piece) for piece in (part[:cut], part[cut:]) if piece)
        events += reader.delta(engine.Delta(text=part.decode(), tokens=tokens))
        start = end
    events += reader.stopped(engine.Stopped(reason="stop"))
    for kind in (TextDelta, ReasoningDelta):
        shown = [event for event in events if isinstance(event, kind)]
        joined = b"".join(t.chosen.data for event in shown for t in event.tokens)
        assert joined.decode() == "".join(event.text for event in shown)


def test_a_token_that_is_no_text_keeps_its_bytes() -> None:
    reader = AnswerReader(0, READING)
    odd = token(b"\xff")
    assert reader.delta(engine.Delta(text="a\ufffd", tokens=(token(b"a"), odd))) == [
        TextDelta(text="a\ufffd", tokens=(token(b"a"), odd))
    ]
