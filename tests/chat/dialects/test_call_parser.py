from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.chat.conversation import ToolCall
from handler.chat.dialects.call_format import CallFormat
from handler.chat.dialects.call_parser import CallParser
from handler.chat.dialects.hermes import HERMES
from handler.chat.dialects.mistral import MISTRAL
from handler.chat.segments import CallArguments, CallNamed, Markup, Said, Segment

LLAMA = CallFormat(
    begin=('{"name": "', '<|python_tag|>{"name": "'), to_arguments='", "parameters": ', next=None, end="}"
)
TAGGED = CallFormat(begin=("<function=",), to_arguments=">", next="</function>\n<function=", end="</function>")
FORMS = {"hermes": HERMES, "mistral": MISTRAL, "llama": LLAMA, "tagged": TAGGED}
NAMES = ("get", "get_weather")
ONE = (ToolCall(id="1", name="get_weather", arguments='{"city": "}\\"</tool_call>"}'),)
TWO = (*ONE, ToolCall(id="2", name="get", arguments='{"a": [{}, {"b": "]"}]}'))


def parse(form: CallFormat, pieces: list[str]) -> tuple[list[Segment], bool]:
    """The segments, neighbours of one kind joined, and whether the calls are complete."""
    parser = CallParser(form, NAMES)
    segments = [segment for piece in pieces for segment in parser.decode(piece)] + parser.flush()
    joined: list[Segment] = []
    for segment in segments:
        last = joined[-1] if joined else None
        if last is not None and type(last) is type(segment) and not isinstance(segment, CallNamed):
            joined[-1] = replace(last, text=last.text + segment.text)
        else:
            joined.append(segment)
    return joined, parser.complete


@pytest.mark.parametrize("name", FORMS)
def test_calls_are_read_as_they_are_written(name: str) -> None:
    form = FORMS[name]
    calls = TWO if form.next is not None else ONE
    segments, complete = parse(form, [form.write(calls)])
    named = [segment.name for segment in segments if isinstance(segment, CallNamed)]
    arguments = [segment.text for segment in segments if isinstance(segment, CallArguments)]
    assert [*zip(named, arguments, strict=True)] == [(call.name, call.arguments) for call in calls]
    assert complete
    assert not any(isinstance(segment, Said) for segment in segments)


def test_text_before_a_call_stays_and_the_white_space_between_goes() -> None:
    segments, _ = parse(HERMES, ["Let me see.\n\n" + HERMES.write(ONE)])
    assert segments == [
        Said("Let me see."),
        Markup("\n\n"),
        CallNamed('<tool_call>\n{"name": "get_weather", "arguments": ', "get_weather"),
        CallArguments(ONE[0].arguments),
        Markup("}\n</tool_call>"),
    ]


def test_text_is_held_only_while_it_may_begin_a_call() -> None:
    parser = CallParser(HERMES, NAMES)
    given_out = [parser.decode(piece) for piece in ["a", " <", "b", " ", "<tool", "s>", "\n"]]
    assert given_out == [[Said("a")], [], [Said(" <b")], [], [], [Said(" <tools>")], []]
    assert parser.flush() == [Said("\n")]
    assert not parser.complete


def test_a_name_is_told_as_soon_as_it_is_whole_and_arguments_as_they_come() -> None:
    parser = CallParser(HERMES, NAMES)
    pieces = ["<tool_call>", '\n{"name": "get', '", "arguments": ', '{"a"', ": 1", "}", "}\n"]
    assert [parser.decode(piece) for piece in pieces] == [
        [],
        [],
        [CallNamed('<tool_call>\n{"name": "get", "arguments": ', "get")],
        [CallArguments('{"a"')],
        [CallArguments(": 1")],
        [CallArguments("}")],
        [],
    ]


def test_a_call_without_a_marker_is_told_from_other_json() -> None:
    assert parse(LLAMA, ['{"name": "Bob", "age": 3}']) == ([Said('{"name": "Bob", "age": 3}')], False)
    assert parse(LLAMA, ["Hello {"]) == ([Said("Hello {")], False)


@pytest.mark.parametrize(
    ("cut", "complete"),
    [
        ('<tool_call>\n{"na', False),
        ('<tool_call>\n{"name": "get", "arguments": {"a": ', False),
        (HERMES.write(ONE)[:-3], True),
    ],
    ids=["in the name", "in the arguments", "in the end"],
)
def test_a_call_that_is_cut_shows_no_marker(cut: str, complete: bool) -> None:
    segments, told = parse(HERMES, ["Hm. ", cut])
    assert segments[0] == Said("Hm.")
    assert not any(isinstance(segment, Said) for segment in segments[1:])
    assert told is complete


@pytest.mark.parametrize("cut", ["<", "<tool_call>", "\n", "Hm. "])
def test_where_the_answer_has_to_be_a_call_no_text_comes_out(cut: str) -> None:
    parser = CallParser(HERMES, NAMES, forced=True)
    assert [*parser.decode(cut), *parser.flush()] == [Markup(cut)]
    assert not parser.complete


pieces_of_text = st.lists(
    st.sampled_from(["<", "<tool_call>", "[TOOL_CALLS]", " ", "\n", "{", '{"name": "', "get", "é", "x"]), max_size=5
).map("".join)


@given(st.sampled_from(list(FORMS)), pieces_of_text, st.sampled_from([(), ONE, TWO]), st.data(), st.integers(0, 200))
def test_how_text_is_split_changes_nothing_and_nothing_is_lost(
    name: str, text: str, calls: tuple[ToolCall, ...], data: st.DataObject, limit: int
) -> None:
    form = FORMS[name]
    whole = (text + form.write(calls))[:limit]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    split = parse(form, pieces)
    assert split == parse(form, [whole])
    assert "".join(segment.text for segment in split[0]) == whole
