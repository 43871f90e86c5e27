"""Stop strings and calls: where in an answer the strings are matched."""

from collections.abc import Iterable
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.chat.answer_reader import Reading
from handler.chat.dialects.call_format import CallFormat
from handler.chat.dialects.hermes import HERMES
from handler.chat.stop_scope import OutsideCalls
from handler.chat.thinking import ThinkMarks
from handler.engine.answer import Answer

LLAMA = CallFormat(begin=('{"name": "',), to_arguments='", "parameters": ', next=None, end="}")
MARKS = ThinkMarks("<think>", "</think>")
CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'


def pieces(form: CallFormat, texts: Iterable[str]) -> list[tuple[str, bool]]:
    """What the scope tells, neighbours of one kind joined."""
    scope = OutsideCalls(Reading(marks=MARKS, form=form, names=("f",)), form)
    told = [piece for text in texts for piece in scope.decode(text)] + scope.flush()
    return [("".join(text for text, _ in group), matched) for matched, group in groupby(told, lambda piece: piece[1])]


@pytest.mark.parametrize(
    ("form", "text", "told"),
    [
        pytest.param(HERMES, "Hello <b", [("Hello <b", True)], id="text"),
        pytest.param(HERMES, f"Hm.\n{CALL}", [("Hm.", True), (f"\n{CALL}", False)], id="white space before a call"),
        pytest.param(
            HERMES,
            f"<think><tool_call></think>\nHm.{CALL}",
            [("<think><tool_call></think>\nHm.", True), (CALL, False)],
            id="a thought",
        ),
        pytest.param(HERMES, "Hm.<tool_call>\n{", [("Hm.", True), ("<tool_call>\n{", False)], id="a call that is cut"),
        pytest.param(LLAMA, '{"name": "f", "parameters": {}}', [('{"name": "f", "parameters": {}}', False)], id="JSON"),
        pytest.param(LLAMA, 'As JSON: {"name": "f"}', [('As JSON: {"name": "f"}', True)], id="JSON in text"),
    ],
)
@given(data=st.data())
def test_where_stop_strings_are_matched(
    form: CallFormat, text: str, told: list[tuple[str, bool]], data: st.DataObject
) -> None:
    """However the text is split."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    assert pieces(form, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]) == told


@pytest.mark.parametrize(
    ("stop", "min_tokens", "text", "matched"),
    [
        pytest.param("1", 0, f"Hm.\n{CALL}", None, id="in a call"),
        pytest.param("Hm.\n<", 0, f"Hm.\n{CALL}", None, id="across its beginning"),
        pytest.param("m", 0, "H", "m", id="in text"),
        pytest.param("m", 2, f"Hm.\n{CALL}", None, id="in the first tokens"),
        pytest.param(".", 2, "Hm", ".", id="after the first tokens"),
        pytest.param("\n", 4, f"Hm.\n{CALL}", None, id="held from the first tokens"),
    ],
)
def test_an_answer_ends_at_a_stop_string_outside_of_calls(
    stop: str, min_tokens: int, text: str, matched: str | None
) -> None:
    answer = Answer((stop,), min_tokens, scope=OutsideCalls(Reading(form=HERMES, names=("f",)), HERMES))
    deltas = [answer.add(character.encode(), None) for character in f"Hm.\n{CALL}"] + [answer.finish()]
    assert ("".join(delta.text for delta in deltas), answer.stop_sequence) == (text, matched)


@pytest.mark.parametrize(("min_tokens", "text", "matched"), [(3, "a\n\nb", None), (2, "a\n", "\n")])
def test_text_of_the_first_tokens_stays_exempt_while_it_is_held(
    min_tokens: int, text: str, matched: str | None
) -> None:
    answer = Answer(("\n",), min_tokens, scope=OutsideCalls(Reading(form=HERMES, names=("f",)), HERMES))
    deltas = [answer.add(character.encode(), None) for character in "a\n\nb"] + [answer.finish()]
    assert ("".join(delta.text for delta in deltas), answer.stop_sequence) == (text, matched)
