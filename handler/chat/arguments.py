"""The JSON schema of a function's arguments, as it is enforced. Pure."""

from collections.abc import Callable, Iterator, Mapping

from handler.engine.json_schema import JSON_STYLE, CheckedSchema, without

ANY_ARGUMENTS: Mapping[str, object] = {"type": "object", "x-guidance": JSON_STYLE}
_MAX_PARTS = 300  # a trial takes a millisecond
_OPEN_ENDED = frozenset({"additionalProperties", "patternProperties", "unevaluatedProperties", "propertyNames"})
_COMBINED = frozenset({"allOf", "anyOf", "oneOf", "if", "not", "$ref", "dependentSchemas"})


def arguments_schema(parameters: Mapping[str, object] | None) -> dict[str, object]:
    """An object, with the properties that the caller defined and no others, unless the caller says otherwise.

    What satisfies the narrower schema satisfies the caller's, and no function gets an argument that it does not know.
    """
    schema = {"properties": {}} if parameters is None else dict(parameters)
    schema.setdefault("type", "object")
    if "properties" in schema and not schema.keys() & (_OPEN_ENDED | _COMBINED) and not _needs_others(schema):
        schema["additionalProperties"] = False
    return schema


def _needs_others(schema: Mapping[str, object]) -> bool:
    """Whether there has to be a property that the schema does not list."""
    listed, names, least = (schema.get(keyword) for keyword in ("properties", "required", "minProperties"))
    if not isinstance(listed, Mapping):
        return False
    unlisted = isinstance(names, list) and any(isinstance(name, str) and name not in listed for name in names)
    return unlisted or (isinstance(least, int | float) and least > len(listed))


def enforceable(checked: CheckedSchema, accepts: Callable[[Mapping[str, object]], bool]) -> Mapping[str, object]:
    """What the grammar engine gets of a schema that nobody promised to keep: without what it does not accept.

    Inner schemas first, so that only what is at fault is given up: a keyword, or else all that the inner schema says.
    """
    if accepts(checked.complete()):
        return checked.complete()
    for part in checked.parts[:_MAX_PARTS]:
        if accepts(checked.complete(part.schema)):
            continue
        kept = next((less for less in _lesser(part.schema) if accepts(checked.complete(less))), {})
        part.schema.clear()
        part.schema.update(kept)
    whole = checked.complete()
    return whole if "type" in whole and accepts(whole) else ANY_ARGUMENTS


def _lesser(schema: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """The schema with one keyword less; what limits goes before what says what there is to be limited."""
    if "oneOf" in schema and "anyOf" not in schema:
        yield {"anyOf" if keyword == "oneOf" else keyword: value for keyword, value in schema.items()}
    for keyword in sorted(schema, key=lambda keyword: keyword in ("type", "properties")):
        yield without(schema, keyword)
