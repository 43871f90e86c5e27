"""`response_format` and vLLM's `structured_outputs`: JSON in, what the answer must look like out. Pure.

Of a schema only the outermost shape is checked: whether the grammar can enforce it is for the chat service to say.
Unknown keys are `unknown_keys`' business, not ours. What reads schemas is imported with the first of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from handler.api.json_body import parse_text
from handler.api.values import Boolean, Json, JsonObject, Name, as_array, as_object, as_text, optional, required
from handler.engine.grammar import (
    ChoiceGrammar,
    GrammarSpec,
    JsonObjectGrammar,
    JsonSchemaGrammar,
    LarkGrammar,
    RegexGrammar,
)
from handler.errors import InvalidRequest, RequestError
from handler.frozen import dataclass

SERVICE_NAME: Final = "response_format"
# Every key that the object may carry; within a schema, any.
JSON_SCHEMA_KEYS: Final = frozenset({"name", "description", "schema", "strict"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFormat:
    """What the answer is limited to. `path`: where the request says so, for errors that only the grammar engine can
    find. `told`: what the model is to know of it."""

    grammar: GrammarSpec
    path: str
    told: str | None = None

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """The chat service calls every format `response_format`: what it refuses bears the request's own path."""
        try:
            yield
        except RequestError as error:
            if error.param is not None and error.param.startswith(SERVICE_NAME):
                error.param = self.path + error.param.removeprefix(SERVICE_NAME)
            raise


class ResponseFormat:
    """Reads `response_format`; None is free text."""

    summary = "type text, json_object or json_schema"

    def __call__(self, value: Json, path: str) -> AnswerFormat | None:
        item = as_object(value, path)
        match required(item, "type", as_text, path):
            case "text":
                return None
            case "json_object":
                return AnswerFormat(grammar=JsonObjectGrammar(), path=path)
            case "json_schema":
                return read_json_schema(required(item, "json_schema", as_object, path), f"{path}.json_schema")
        raise InvalidRequest(
            f'Invalid value for \'{path}.type\': expected "text", "json_object" or "json_schema".',
            param=f"{path}.type",
        )


def read_json_schema(item: JsonObject, path: str) -> AnswerFormat:
    """A named schema; without the schema itself, any JSON object."""
    name = required(item, "name", Name(), path)
    optional(item, "strict", Boolean(), path)  # a schema that need not be enforced is enforced all the same
    description = optional(item, "description", as_text, path)
    schema = optional(item, "schema", as_object, path)
    return AnswerFormat(
        grammar=JsonObjectGrammar() if schema is None else JsonSchemaGrammar(schema),
        path=path if schema is None else f"{path}.schema",
        told=f"Answer in the format {name}: {description}" if description else None,
    )


class Schema:
    """Reads a JSON schema, itself or as JSON text."""

    summary = "JSON schema, as an object or as JSON text"

    def __call__(self, value: Json, path: str) -> GrammarSpec:
        if isinstance(value, str):
            try:
                value = parse_text(value)
            except ValueError as error:
                raise InvalidRequest(f"Invalid '{path}': the text is not JSON: {error}.", param=path) from None
        return JsonSchemaGrammar(as_object(value, path))


class AnyJsonObject:
    """Reads a switch; false is absent."""

    summary = "boolean"

    def __call__(self, value: Json, path: str) -> GrammarSpec | None:
        return JsonObjectGrammar() if Boolean()(value, path) else None


class Regex:
    """Reads a regular expression."""

    summary = "regular expression"

    def __call__(self, value: Json, path: str) -> GrammarSpec:
        return RegexGrammar(as_text(value, path))


class Choices:
    """Reads the answers to choose from."""

    summary = "array of strings, at least one"

    def __call__(self, value: Json, path: str) -> GrammarSpec:
        options = tuple(as_text(item, f"{path}[{i}]") for i, item in enumerate(as_array(value, path)))
        if not options:
            raise InvalidRequest(
                f"Invalid '{path}': empty array. Expected at least one string.", param=path, code="empty_array"
            )
        if "" in options:
            path = f"{path}[{options.index('')}]"
            raise InvalidRequest(f"Invalid '{path}': an answer cannot be empty.", param=path)
        return ChoiceGrammar(options)


class Lark:
    """Reads a grammar."""

    summary = "grammar in Lark's notation"

    def __call__(self, value: Json, path: str) -> GrammarSpec:
        from handler.engine.lark_text import with_checked_schemas

        return LarkGrammar(with_checked_schemas(as_text(value, path), param=path))
