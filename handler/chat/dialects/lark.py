"""Fixed texts, patterns and schemas written in llguidance's Lark. Pure."""

import json
import re
from collections.abc import Mapping

from handler.engine.grammar import ChoiceGrammar, GrammarSpec, JsonObjectGrammar, JsonSchemaGrammar, RegexGrammar
from handler.errors import UnsupportedValue


def string(text: str) -> str:
    """The text and nothing else."""
    return json.dumps(text)


def literal(text: str, marker_ids: Mapping[str, int]) -> str:
    """The text, with those of its markers that are single tokens as these tokens: this is how the model learnt them."""
    markers = sorted((marker for marker in marker_ids if marker in text), key=len, reverse=True)
    pieces = re.split(f"({'|'.join(map(re.escape, markers))})", text) if markers else [text]
    return " ".join(f"<[{marker_ids[piece]}]>" if piece in marker_ids else string(piece) for piece in pieces if piece)


def pattern_of(text: str) -> str:
    """A regular expression, without its slashes, that matches the text and nothing else."""
    return "".join(c if c.isalnum() else f"\\x{{{ord(c):x}}}" for c in text)


def json_schema(schema: Mapping[str, object]) -> str:
    """JSON that is valid for the schema, which is written as the grammar engine wants it."""
    return f"%json {json.dumps(schema)}"


def rule(spec: GrammarSpec, *, param: str) -> str:
    """The right side of a rule for what `spec` allows.

    Raises InvalidRequest or UnsupportedValue, naming `param`, for what cannot be enforced beside other rules.
    """
    from handler.engine.json_schema import check_schema

    match spec:
        case JsonObjectGrammar():
            return json_schema(check_schema({"type": "object"}, param=param).complete())
        case JsonSchemaGrammar(schema=schema):
            return json_schema(check_schema(schema, param=param).complete())
        case RegexGrammar(pattern=pattern):
            return "/" + re.sub(r"\\.|/", lambda found: r"\/" if found[0] == "/" else found[0], pattern) + "/"
        case ChoiceGrammar(options=options):
            return " | ".join(map(string, options))
        case _:
            raise UnsupportedValue(
                "A Lark grammar cannot be combined with tools: send one of them, or set tool_choice to 'none'.",
                param=param,
            )
