"""What an answer may be: tools and format as a grammar, and how the answer is then read. Pure.

All that a schema or a format can be wrong in is found here, before the first byte.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from handler.chat.after_thinking import AfterThinking
from handler.chat.answer_reader import Reading
from handler.chat.dialects import lark
from handler.chat.dialects.call_format import CallFormat
from handler.chat.dialects.call_grammar import CallGrammar
from handler.chat.thinking import ThinkMarks
from handler.chat.tools import ChatTools, NamedTool, Tool
from handler.chat.visible_markers import VisibleMarkers
from handler.engine.grammar import GrammarSpec, JsonSchemaGrammar, LarkGrammar
from handler.engine.ports import Grammar, GrammarCompiler, Tokenizer
from handler.errors import InvalidRequest, UnsupportedParameter
from handler.frozen import dataclass

_FORMAT = "response_format"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The grammar of an answer (None: none), how it is read, and the tokenizer that shows what its reading needs."""

    grammar: Callable[[], Grammar] | None
    reading: Reading
    tokenizer: Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """What there is to know of a model to limit its answers: `marks` of its thoughts, `form` of its calls."""

    tokenizer: Tokenizer
    end_token_ids: tuple[int, ...]
    grammars: GrammarCompiler | None
    marks: ThinkMarks | None
    form: CallFormat

    def limits(self, tools: ChatTools | None, response_format: GrammarSpec | None, *, opens_thought: bool) -> Limits:
        """Raises InvalidRequest for a schema or format that cannot be enforced."""
        reading = Reading(marks=self.marks, opened=opens_thought)
        markers = {} if self.marks is None else _single_tokens(self.tokenizer, self.marks.open, self.marks.close)
        spec, where = response_format, _FORMAT
        if tools is not None and tools.callable:
            names = tuple(tool.name for tool in tools.callable)
            reading = replace(reading, form=self.form, names=names, named=isinstance(tools.choice, NamedTool))
            call_markers = _single_tokens(self.tokenizer, *self.form.markers)
            spec, where = self._calls(tools, response_format, call_markers), tools.field
            markers |= call_markers
        grammar = None if spec is None else self._compile(spec, where)
        hidden = {text: token_id for text, token_id in markers.items() if self.tokenizer.is_special(token_id)}
        tokenizer = VisibleMarkers(self.tokenizer, hidden) if hidden else self.tokenizer
        if grammar is not None and self.marks is not None:
            grammar = self._after_thinking(grammar, self.marks, tokenizer, opened=opens_thought)
        return Limits(grammar=grammar, reading=reading, tokenizer=tokenizer)

    def _calls(
        self, tools: ChatTools, response_format: GrammarSpec | None, marker_ids: Mapping[str, int]
    ) -> LarkGrammar:
        if response_format is not None:
            self._compile(response_format, _FORMAT)  # by itself: beside calls it might go unused or be misnamed
        grammar = CallGrammar(
            form=self.form,
            schemas={tool.name: self._arguments(tool, tools) for tool in tools.callable},
            marker_ids=marker_ids,
            many=tools.parallel and not isinstance(tools.choice, NamedTool),
        )
        if tools.forced:
            return LarkGrammar(grammar.forced())
        return LarkGrammar(
            grammar.free() if response_format is None else grammar.instead_of(response_format, param=_FORMAT)
        )

    def _arguments(self, tool: Tool, tools: ChatTools) -> Mapping[str, object]:
        """A schema that was promised is enforced or refused; of another, what can be is enforced."""
        # With the first tool: most processes read no schema.
        from handler.chat.arguments import arguments_schema, enforceable
        from handler.engine.json_schema import check_schema

        schema, where = arguments_schema(tool.parameters), f"{tools.path(tool)}.parameters"
        if tool.strict or tools.forced:
            self._compile(JsonSchemaGrammar(schema), where)
            return check_schema(schema, param=where).complete()

        def accepts(complete: Mapping[str, object]) -> bool:
            try:
                self._compile(LarkGrammar("start: " + lark.json_schema(complete)), where)
            except UnsupportedParameter:
                raise
            except InvalidRequest:
                return False
            return True

        return enforceable(check_schema(schema, param=where, lenient=True), accepts)

    def _compile(self, spec: GrammarSpec, where: str) -> Callable[[], Grammar]:
        if self.grammars is None:
            raise UnsupportedParameter("This model is served without grammars.", param=where)
        return self.grammars.compile(spec, param=where)

    def _after_thinking(
        self, grammar: Callable[[], Grammar], marks: ThinkMarks, tokenizer: Tokenizer, *, opened: bool
    ) -> Callable[[], Grammar]:
        def begin() -> Grammar:
            return AfterThinking(grammar(), marks, opened=opened, tokenizer=tokenizer, end_token_ids=self.end_token_ids)

        return begin


def _single_tokens(tokenizer: Tokenizer, *markers: str) -> dict[str, int]:
    encoded = {marker: tokenizer.encode(marker, special=True) for marker in markers}
    return {marker: ids[0] for marker, ids in encoded.items() if len(ids) == 1}
