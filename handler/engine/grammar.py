"""What an answer may be limited to, apart from how that is enforced. Pure."""

from collections.abc import Mapping

from handler.frozen import dataclass


@dataclass(frozen=True, slots=True)
class JsonObjectGrammar:
    """Any JSON object."""


@dataclass(frozen=True, slots=True)
class JsonSchemaGrammar:
    """JSON that is valid for a schema, a JSON object or boolean (draft 2020-12)."""

    schema: Mapping[str, object] | bool


@dataclass(frozen=True, slots=True)
class RegexGrammar:
    """Text that matches the pattern from beginning to end."""

    pattern: str


@dataclass(frozen=True, slots=True)
class ChoiceGrammar:
    """One of the options, word for word; at least one, none empty."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LarkGrammar:
    """Text that a Lark grammar's rule `start` derives, in llguidance's dialect: JSON schemas as `%json {…}`, control
    tokens as `<|im_end|>`."""

    text: str


GrammarSpec = JsonObjectGrammar | JsonSchemaGrammar | RegexGrammar | ChoiceGrammar | LarkGrammar
