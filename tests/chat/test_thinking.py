from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.chat.after_thinking import AfterThinking
from handler.chat.conversation import Conversation, Message, TemplateOptions
from handler.chat.deltas import ReasoningDelta, Stopped, TextDelta, ToolCallArguments, ToolCallStart
from handler.chat.segments import Markup, Said, Segment, Thought
from handler.chat.thinking import ThinkMarks, ThoughtParser, find_marks
from handler.chat.tools import ChatTools, Tool
from handler.engine.events import Finished
from handler.engine.grammar import JsonObjectGrammar
from handler.engine.params import GenerationParams
from handler.errors import UnsupportedValue
from tests.chat.speaking import END, MODELS, RandomDecoder, service_of
from tests.fakes import ScriptedDecoder, told

MARKS = ThinkMarks("<think>", "</think>")
HI = Conversation(messages=(Message(role="user", content="Hi"),))


def parse(pieces: list[str], *, opened: bool = False) -> list[Segment]:
    """The segments, neighbours of one kind joined."""
    parser = ThoughtParser(MARKS, opened=opened)
    joined: list[Segment] = []
    for segment in [*(segment for piece in pieces for segment in parser.decode(piece)), *parser.flush()]:
        if joined and type(joined[-1]) is type(segment):
            joined[-1] = replace(joined[-1], text=joined[-1].text + segment.text)
        else:
            joined.append(segment)
    return joined


@pytest.mark.parametrize(
    ("text", "opened", "segments"),
    [
        pytest.param(
            "<think>\nHm.\n</think>\n\nHello.",
            False,
            [Markup("<think>\n"), Thought("Hm."), Markup("\n</think>\n\n"), Said("Hello.")],
            id="a thought",
        ),
        pytest.param("Hm.</think>Hello.", True, [Thought("Hm."), Markup("</think>"), Said("Hello.")], id="opened"),
        pytest.param(
            "<think>Hm.</think>",
            True,
            [Markup("<think>"), Thought("Hm."), Markup("</think>")],
            id="opened twice",
        ),
        pytest.param("Hello <think>.", False, [Said("Hello <think>.")], id="a marker later is text"),
        pytest.param("\n<th", False, [Said("\n<th")], id="no marker after all"),
        pytest.param("<think>Hm. </th", False, [Markup("<think>"), Thought("Hm. </th")], id="cut in a thought"),
        pytest.param("", True, [], id="nothing"),
    ],
)
def test_a_thought_is_told_from_the_answer(text: str, opened: bool, segments: list[Segment]) -> None:
    assert parse([text], opened=opened) == segments


pieces_of_text = st.lists(st.sampled_from(["<think>", "</think>", "<", "</", " ", "\n", "think>", "x"]), max_size=8)


@given(pieces_of_text.map("".join), st.booleans(), st.data())
def test_how_text_is_split_changes_nothing_and_nothing_is_lost(whole: str, opened: bool, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    split = parse(pieces, opened=opened)
    assert split == parse([whole], opened=opened)
    assert "".join(segment.text for segment in split) == whole


def test_markers_are_found_in_the_template_or_the_vocabulary() -> None:
    template, tokenizer = MODELS["qwen-thinking"]
    assert find_marks("", tokenizer) == MARKS
    assert find_marks(template, MODELS["qwen"][1]) == MARKS
    assert find_marks("", MODELS["qwen"][1]) is None


def token_ids(name: str, text: str) -> list[int]:
    return [*MODELS[name][1].encode(text, special=True), END]


def test_thoughts_are_told_apart_and_counted() -> None:
    script = token_ids("qwen-thinking", "<think>ab\n</think>\n\nc")
    decoder = ScriptedDecoder(script, vocab_size=MODELS["qwen-thinking"][1].vocab_size)
    events = told(service_of("qwen-thinking", decoder).prepare(HI, GenerationParams(temperature=0)).events())
    nothing = TextDelta(text="")
    assert events[:-1] == [
        nothing,  # <think>
        ReasoningDelta(text="a"),
        ReasoningDelta(text="b"),
        nothing,  # a line break that may belong to the marker
        nothing,  # </think>
        nothing,
        nothing,
        TextDelta(text="c"),
        Stopped(reason="stop"),
    ]
    assert isinstance(events[-1], Finished)
    assert (events[-1].usage.reasoning_tokens, events[-1].usage.completion_tokens) == (5, 9)


def test_a_prompt_that_opens_the_thought_leaves_only_its_end_to_the_model() -> None:
    script = token_ids("revealing", "a</think>b")
    decoder = ScriptedDecoder(script, vocab_size=MODELS["revealing"][1].vocab_size)
    events = told(service_of("revealing", decoder).prepare(HI, GenerationParams(temperature=0)).events())
    assert events[:-1] == [
        ReasoningDelta(text="a"),
        TextDelta(text=""),
        TextDelta(text="b"),
        Stopped(reason="stop"),
    ]


@pytest.mark.parametrize("name", ["qwen-thinking", "revealing"])
def test_tools_and_formats_leave_the_thought_free(name: str) -> None:
    """Even from a model that says anything, thoughts end and are followed by what was asked for."""
    tool = Tool(name="f", parameters={"type": "object", "properties": {"a": {"enum": [1]}}, "required": ["a"]})
    tools = ChatTools(tools=(tool,), choice="required")
    thought_once = False
    for seed in range(8):
        decoder = RandomDecoder(MODELS[name][1], seed)
        params = GenerationParams(seed=seed, max_tokens=1500)
        events = list(service_of(name, decoder).prepare(HI, params, tools=tools).events())
        thought_once |= any(isinstance(event, ReasoningDelta) for event in events)
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == ""
        assert any(isinstance(event, ToolCallStart) for event in events)
        assert {event.text for event in events if isinstance(event, ToolCallArguments)} <= set('{"a": 1}')
    assert thought_once


def test_a_format_begins_where_the_thought_ends() -> None:
    script = token_ids("revealing", "a</think>{}")
    decoder = ScriptedDecoder(script, vocab_size=MODELS["revealing"][1].vocab_size)
    prepared = service_of("revealing", decoder).prepare(
        HI, GenerationParams(temperature=0, max_tokens=9), response_format=JsonObjectGrammar()
    )
    texts = [event.text for event in prepared.events() if isinstance(event, TextDelta)]
    assert "".join(texts) == "{}"


def test_a_thought_cannot_be_the_end_of_an_answer() -> None:
    class Nothing:
        finished = True

        def mask(self, row: np.ndarray) -> None:
            row[:] = -np.inf

        def accept(self, token_id: int) -> None:
            raise AssertionError(token_id)

        def forced(self) -> list[int]:
            return [1]

    tokenizer = MODELS["qwen-thinking"][1]
    (opening,), (closing,) = (tokenizer.encode(mark, special=True) for mark in ("<think>", "</think>"))
    grammar = AfterThinking(Nothing(), MARKS, opened=False, tokenizer=tokenizer, end_token_ids=(END,))

    def allowed() -> set[int]:
        row = np.zeros(tokenizer.vocab_size, np.float32)
        grammar.mask(row)
        return {int(i) for i in np.flatnonzero(row == 0)}

    assert (allowed(), grammar.forced(), grammar.finished) == ({opening}, (), False)
    grammar.accept(opening)
    assert (allowed(), grammar.forced(), grammar.finished) == (set(range(tokenizer.vocab_size)) - {END}, (), False)
    grammar.accept(closing)
    assert (allowed(), grammar.forced(), grammar.finished) == (set(), [1], True)


@pytest.mark.parametrize(
    ("name", "effort", "end"),
    [
        ("qwen-thinking", "none", "assistant\n⟦<think>⟧\n\n⟦</think>⟧\n\n"),
        ("qwen-thinking", "high", "assistant\n"),
        ("qwen-thinking", None, "assistant\n"),
        ("qwen", "none", "assistant\n"),
        ("qwen", "medium", "assistant\n"),
        ("revealing", "medium", "⟦<｜Assistant｜>⟧⟦<think>⟧\n"),
    ],
)
def test_reasoning_effort_is_the_templates_switch(name: str, effort: str | None, end: str) -> None:
    service = service_of(name, ScriptedDecoder(vocab_size=MODELS[name][1].vocab_size))
    prepared = service.prepare(HI, GenerationParams(), TemplateOptions(reasoning_effort=effort))
    assert MODELS[name][1].text(prepared.prompt_ids).endswith(end)
    assert service.has_reasoning_switch is (name == "qwen-thinking")


@pytest.mark.parametrize(("name", "effort"), [("qwen", "high"), ("revealing", "none"), ("revealing", "low")])
def test_an_effort_that_nothing_would_come_of_is_refused(name: str, effort: str) -> None:
    service = service_of(name, ScriptedDecoder())
    with pytest.raises(UnsupportedValue, match="no reasoning switch") as error:
        service.prepare(HI, GenerationParams(), TemplateOptions(reasoning_effort=effort))
    assert error.value.param == "reasoning_effort"
