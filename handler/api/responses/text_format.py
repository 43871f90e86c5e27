"""`text.format`: what the answer must look like. Pure.

Of a schema only the outermost shape is checked: whether the grammar can enforce it is for the chat service to say.
"""

from collections.abc import Mapping
from typing import Final

from handler.api.values import Boolean, Json, JsonObject, Name, as_object, as_text, optional, required
from handler.engine.grammar import GrammarSpec, JsonObjectGrammar, JsonSchemaGrammar
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

    def __call__(self, value: Json, path: str) -> GrammarSpec | None:
        item = as_object(value, path)
        match required(item, "type", as_text, path):
            case "text":
                return None
            case "json_object":
                return JsonObjectGrammar()
            case "json_schema":
                return _schema(item, path)
        raise InvalidRequest(
            f'Invalid value for \'{path}.type\': expected "text", "json_object" or "json_schema".',
            param=f"{path}.type",
        )


def _schema(item: JsonObject, path: str) -> GrammarSpec:
    """`strict` changes nothing: a schema that is not asked to be enforced is enforced all the same."""
    required(item, "name", Name(), path)
    optional(item, "strict", Boolean(), path)
    optional(item, "description", as_text, path)
    return JsonSchemaGrammar(required(item, "schema", as_object, path))
