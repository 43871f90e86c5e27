"""The JSON schema of a function's arguments, as it is enforced. Pure."""

from collections.abc import Mapping

from handler.engine.json_schema import JSON_STYLE

_OPEN_ENDED = frozenset({"additionalProperties", "patternProperties", "unevaluatedProperties", "propertyNames"})
_COMBINED = frozenset({"allOf", "anyOf", "oneOf", "if", "not", "$ref", "dependentSchemas"})


def arguments_schema(parameters: Mapping[str, object] | None) -> dict[str, object]:
    """An object, with the properties that the caller defined and no others, unless the caller says otherwise.

    What satisfies the narrower schema satisfies the caller's, and no function gets an argument that it does not know.
    """
    schema = {"properties": {}} if parameters is None else dict(parameters)
    schema.setdefault("type", "object")
    if "properties" in schema and not schema.keys() & (_OPEN_ENDED | _COMBINED):
        schema["additionalProperties"] = False
    return schema


def lenient(schema: Mapping[str, object]) -> dict[str, object]:
    """What the grammar engine gets of a schema that nobody promised to keep: what it can enforce, without the rest."""
    return {**schema, "x-guidance": {**JSON_STYLE, "lenient": True}}
