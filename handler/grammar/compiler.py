"""From what an answer may be to a grammar for each of its choices.

Compiling takes a millisecond for most grammars, with the interpreter's lock released, and is bounded: by the limits
below, and by llguidance's own. llguidance is imported when the first grammar is compiled, and what checks schemas and
patterns with the first of them: most requests need none.
"""

import json
import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from handler.engine.grammar import (
    ChoiceGrammar,
    GrammarSpec,
    JsonObjectGrammar,
    JsonSchemaGrammar,
    LarkGrammar,
    RegexGrammar,
)
from handler.engine.ports import Grammar, Tokenizer
from handler.errors import InvalidRequest, UnsupportedValue

if TYPE_CHECKING:
    from llguidance import LLTokenizer

_MAX_TEXT = 200_000  # characters of a grammar, a schema or all options
_MAX_PATTERN = 10_000  # characters of a regular expression
_ANY_OBJECT = JsonSchemaGrammar({"type": "object"})


class GrammarCompiler:
    """A `handler.engine.ports.GrammarCompiler`. The vocabulary is read when the first grammar is compiled."""

    def __init__(self, tokenizer: Tokenizer, *, vocab_size: int, end_token_ids: Collection[int]) -> None:
        """`vocab_size` is the decoder's; `end_token_ids`, at least one, are allowed where a grammar may end."""
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._end_token_ids = tuple(end_token_ids)
        self._lock = threading.Lock()
        self._vocabulary: LLTokenizer | None = None

    def warm(self) -> None:
        """Reads the vocabulary now, which holds the interpreter's lock: where answers run side by side, do it before
        the first."""
        self._read_vocabulary()

    def compile(self, spec: GrammarSpec, *, param: str) -> Callable[[], Grammar]:
        """See the port. Raises InvalidRequest or UnsupportedValue that name `param`."""
        from llguidance import LLMatcher

        from handler.grammar.blame import reason
        from handler.grammar.matcher import MatcherGrammar

        match spec:
            case JsonObjectGrammar():
                grammar = _schema_grammar(_ANY_OBJECT, param)
            case JsonSchemaGrammar():
                grammar = _schema_grammar(spec, param)
            case RegexGrammar(pattern=pattern):
                from handler.engine.regex_size import MAX_EXPANDED, expanded_size

                _limit(len(pattern), _MAX_PATTERN, "regular expression", param)
                if expanded_size(pattern) > MAX_EXPANDED:
                    raise UnsupportedValue(
                        f"The regular expression has more than {MAX_EXPANDED} characters with its repetitions written"
                        " out: repeat less often, or without a bound (*, +).",
                        param=param,
                    )
                grammar = LLMatcher.grammar_from_regex(pattern)
            case ChoiceGrammar(options=options):
                _limit(sum(map(len, options)), _MAX_TEXT, "choice", param)
                grammar = LLMatcher.grammar_from_regex("|".join(map(_exactly, options)))
            case LarkGrammar(text=text):
                _limit(len(text), _MAX_TEXT, "grammar", param)
                grammar = LLMatcher.grammar_from_lark(text)
        matcher = LLMatcher(self._read_vocabulary(), grammar, log_level=0)
        if matcher.is_error():
            raise UnsupportedValue(f"The grammar cannot be enforced: {reason(matcher.get_error())}.", param=param)
        matcher.compute_bitmask()
        if matcher.is_error():  # found out by looking for the first token
            raise InvalidRequest(f"No text follows the grammar: {reason(matcher.get_error())}.", param=param)
        return lambda: MatcherGrammar(matcher.deep_copy(), self._vocab_size, param)

    def _read_vocabulary(self) -> "LLTokenizer":
        from handler.grammar.vocabulary import build_vocabulary

        with self._lock:
            if self._vocabulary is None:
                self._vocabulary = build_vocabulary(self._tokenizer, self._vocab_size, self._end_token_ids)
            return self._vocabulary


def _schema_grammar(spec: JsonSchemaGrammar, param: str) -> str:
    """Raises InvalidRequest or UnsupportedValue that name the keyword and its place in the schema."""
    from llguidance import LLMatcher

    from handler.engine.json_schema import check_schema
    from handler.grammar.blame import blame

    checked = check_schema(spec.schema, param=param)
    text = json.dumps(checked.complete())
    _limit(len(text), _MAX_TEXT, "schema", param)
    grammar = LLMatcher.grammar_from_json_schema(text)
    error = LLMatcher.validate_grammar(grammar)
    if error:
        raise UnsupportedValue(blame(checked, error), param=param)
    return grammar


def _exactly(text: str) -> str:
    """A regular expression that matches the text and nothing else."""
    return "".join(c if c.isalnum() else f"\\x{{{ord(c):x}}}" for c in text)


def _limit(length: int, most: int, what: str, param: str) -> None:
    if length > most:
        raise InvalidRequest(f"The {what} has {length} characters; {most} are allowed.", param=param)
