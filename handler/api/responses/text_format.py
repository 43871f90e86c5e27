"""`text.format`: what the answer must look like. Pure.

Of a schema only the outermost shape is checked: whether the grammar can enforce it is for the chat service to say.
"""

from collections.abc import Mapping
from typing import Final

from handler.api.formats import AnswerFormat, read_json_schema
from handler.api.values import Json, as_object, as_text, required
from handler.engine.grammar import JsonObjectGrammar
from handler.errors import InvalidRequest

# Every key that a format of the type may carry; within a schema, any.
FORMAT_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"type"}),
    "json_object": frozenset({"type"}),
    "json_schema": frozenset({"type", "name", "description", "schema", "strict"}),
}


class TextFormat:
    """Reads `text.format`; None is free text."""

    summary = "type text, json_object or json_schema"

    def __call__(self, value: Json, path: str) -> AnswerFormat | None:
        item = as_object(value, path)
        match required(item, "type", as_text, path):
            case "text":
                return None
            case "json_object":
                return AnswerFormat(grammar=JsonObjectGrammar(), path=path)
            case "json_schema":
                required(item, "schema", as_object, path)
                return read_json_schema(item, path)
        raise InvalidRequest(
            f'Invalid value for \'{path}.type\': expected "text", "json_object" or "json_schema".',
            param=f"{path}.type",
        )
