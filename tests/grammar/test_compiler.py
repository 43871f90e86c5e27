"""Regular expressions, choices and Lark; what a grammar forces; what is too much."""

import re
import subprocess
import sys

import numpy as np
import pytest

from handler.engine.grammar import ChoiceGrammar, GrammarSpec, JsonSchemaGrammar, LarkGrammar, RegexGrammar
from handler.errors import InvalidRequest
from handler.grammar.compiler import GrammarCompiler
from tests.fakes import IM_END, VOCAB_SIZE, FakeTokenizer
from tests.grammar.generated import COMPILER, accepts, draw

PERSON = JsonSchemaGrammar({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]})


@pytest.mark.parametrize("pattern", ["[a-c]{2,4}", r"\d{4}-\d{2}", "^a(b|c)*$", "yes|no", "é[à-ü]?🎉"])
def test_a_regular_expression_covers_the_whole_text(pattern: str) -> None:
    texts = {draw(RegexGrammar(pattern), seed) for seed in range(10)}
    assert all(text is not None and re.fullmatch(pattern, text) for text in texts)


def test_a_choice_is_one_of_the_options_word_for_word() -> None:
    options = ("yes", "yes, but", "n.o", "é🎉", "a\nb")
    assert {draw(ChoiceGrammar(options), seed) for seed in range(60)} == set(options)
    assert not accepts(ChoiceGrammar(options), "nXo")


def test_a_lark_grammar_may_hold_schemas_and_control_tokens() -> None:
    spec = LarkGrammar('start: "call " %json {"type": "boolean"} <|im_start|>')
    grammar = COMPILER.compile(spec, param="grammar")()
    for token_id in b"call true":
        grammar.accept(token_id)
    assert list(grammar.forced()) == [256]
    grammar.accept(256)
    assert grammar.finished


def test_text_that_looks_like_a_control_token_is_text() -> None:
    assert accepts(RegexGrammar("(?s:.*)"), "<|im_end|>")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        pytest.param(RegexGrammar("(?=a)b"), "cannot be enforced: .*regex parse error|look-around", id="look-ahead"),
        pytest.param(RegexGrammar("("), "cannot be enforced", id="a broken pattern"),
        pytest.param(LarkGrammar("start: foo"), 'unknown name: "foo"', id="an unknown rule"),
        pytest.param(LarkGrammar("start: start"), "No text follows the grammar", id="an endless rule"),
        pytest.param(RegexGrammar("(a{1000}){1000}"), "repeat less often", id="repeated repetition"),
        pytest.param(RegexGrammar("((a{100}){100}){100}"), "repeat less often", id="thrice repeated"),
        pytest.param(RegexGrammar("(a{1,1000}){1,1000}"), "repeat less often", id="optional repetition"),
        pytest.param(RegexGrammar("a" * 10_001), "10001 characters; 10000 are allowed", id="a long pattern"),
        pytest.param(ChoiceGrammar(("a" * 200_001,)), "200001 characters", id="a long choice"),
        pytest.param(LarkGrammar(" " * 200_001), "200001 characters", id="a long grammar"),
        pytest.param(
            JsonSchemaGrammar({"properties": {f"p{i}": {} for i in range(500)}}),
            "properties: more than 400 optional properties",
            id="many optional properties",
        ),
    ],
)
def test_what_cannot_be_enforced_is_refused(spec: GrammarSpec, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as error:
        COMPILER.compile(spec, param="structured_outputs")
    assert error.value.param == "structured_outputs"


@pytest.mark.parametrize(
    "pattern",
    ["(a{1,100}){1,100}", "(a{1000}){20}", "(.*a){30}", ".*a.{200}", "(.*[ab].{20}){5}", "(x+x+)+y", "[a-z]{5000}"],
)
def test_patterns_made_to_explode_do_not(pattern: str) -> None:
    """Some answer within llguidance's limits, or an error for the caller; the suite's time limit is the judge."""
    grammar = COMPILER.compile(RegexGrammar(pattern), param="structured_outputs.regex")()
    row = np.empty(VOCAB_SIZE, np.float32)
    for token_id in b"ab" * 40:
        row.fill(0)
        grammar.mask(row)
        if row[token_id] != 0:
            break
        grammar.accept(token_id)


def test_a_grammar_that_becomes_too_complex_on_the_way_is_the_callers_fault() -> None:
    spec = LarkGrammar("start: e\n" + "e: " + " | ".join(f"e{i}" for i in range(40)) + "\n"
                       + "\n".join(f'e{i}: e e{(i + 1) % 40} e | "a"' for i in range(40)))  # fmt: skip
    grammar = COMPILER.compile(spec, param="grammar")()
    row = np.zeros(VOCAB_SIZE, np.float32)

    def follow() -> None:
        for _ in range(5000):
            grammar.mask(row)
            grammar.accept(ord("a"))

    with pytest.raises(InvalidRequest, match="The grammar became too complex to follow") as error:
        follow()
    assert error.value.param == "grammar"


def test_what_must_follow_is_forced_and_the_end_is_known() -> None:
    grammar = COMPILER.compile(PERSON, param="grammar")()
    assert bytes(grammar.forced()) == b'{"name": "'
    for token_id in b'{"name": "x"':
        grammar.accept(token_id)
    assert not grammar.finished
    grammar.accept(ord("}"))
    assert grammar.finished


def test_choices_follow_the_grammar_each_for_itself() -> None:
    make = COMPILER.compile(ChoiceGrammar(("ab", "cd")), param="grammar")
    first, second = make(), make()
    first.accept(ord("a"))
    second.accept(ord("c"))
    assert (list(first.forced()), list(second.forced())) == ([ord("b")], [ord("d")])


def test_ids_beyond_the_tokenizer_are_never_allowed() -> None:
    compiler = GrammarCompiler(FakeTokenizer(), vocab_size=VOCAB_SIZE + 40, end_token_ids=(IM_END,))
    grammar = compiler.compile(RegexGrammar("(?s:.*)"), param="grammar")()
    row = np.zeros(VOCAB_SIZE + 40, np.float32)
    grammar.mask(row)
    assert (row[VOCAB_SIZE:] == -np.inf).all()
    assert row[IM_END] == 0


class SpacingTokenizer(FakeTokenizer):
    """Puts a space before every text, as SentencePiece does."""

    def encode(self, text: str, *, special: bool) -> list[int]:
        return super().encode(" " + text, special=special)


def test_forced_text_does_not_depend_on_how_a_text_begins() -> None:
    compiler = GrammarCompiler(SpacingTokenizer(), vocab_size=VOCAB_SIZE, end_token_ids=(IM_END,))
    assert bytes(compiler.compile(PERSON, param="grammar")().forced()) == b'{"name": "'


def test_llguidance_is_not_imported_before_the_first_grammar() -> None:
    code = "import handler.grammar.compiler, sys; sys.exit('llguidance' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
