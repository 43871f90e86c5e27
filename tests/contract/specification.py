"""OpenAI's specification, ready to judge values: `validate(schema name, value)`.

`openai.json` is what `vendor` took from the OpenAPI document, word for word. The loader repairs what keeps it from
being JSON Schema 2020-12, and what contradicts the API that it describes; nothing else is changed:

    nullable        `nullable: true` is OpenAPI 3.0. In this 3.1 document it would be ignored: null is added to the type
                    and to the enum, or the schema becomes one of itself and null.
    references      point to `#/schemas/`, where the vendored file has them.
    base64          an embedding may be a string: the specification allows `encoding_format: base64` in the request and
                    forgets it in the answer.
    completions     one schema stands for the whole and for a stream's chunks, whose choices have not ended and which
                    have no usage yet; OpenAI's own say null, as in the guide's examples. So does the first token of an
                    echoed prompt, which has no log-probability.
"""

import json
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

Schema = dict[str, Any]


def repaired(node: Any, *, names: bool = False) -> Any:
    """`node` as JSON Schema 2020-12. `names`: its keys are names of properties, not keywords."""
    if isinstance(node, list):
        return [repaired(value) for value in node]
    if not isinstance(node, dict):
        return node
    schema = {key: repaired(value, names=key == "properties" and not names) for key, value in node.items()}
    if names:
        return schema
    if isinstance(schema.get("$ref"), str):
        schema["$ref"] = schema["$ref"].replace("#/components/schemas/", "#/schemas/")
    if schema.pop("nullable", False) is True:
        return with_null(schema)
    return schema


def with_null(schema: Schema) -> Schema:
    """`schema`, and null."""
    if isinstance(schema.get("type"), str) and not schema.keys() & {"$ref", "anyOf", "oneOf", "allOf"}:
        nullable = schema | {"type": [schema["type"], "null"]}
        return nullable | {"enum": [*schema["enum"], None]} if "enum" in schema else nullable
    return {"anyOf": [schema, {"type": "null"}]}


@cache
def document() -> Schema:
    """The repaired specification: `info` and `schemas`."""
    whole: Schema = json.loads((Path(__file__).parent / "openai.json").read_text())
    schemas = {name: repaired(schema) for name, schema in whole["schemas"].items()}
    vector = schemas["Embedding"]["properties"]
    vector["embedding"] = {"anyOf": [vector["embedding"], {"type": "string"}]}
    completion = schemas["CreateCompletionResponse"]
    logprobs = completion["properties"]["choices"]["items"]["properties"]["logprobs"]["anyOf"][0]["properties"]
    for name in ("token_logprobs", "top_logprobs"):
        logprobs[name]["items"] = with_null(logprobs[name]["items"])
    schemas["CompletionChunk"] = chunk = deepcopy(completion)
    chunk["properties"]["usage"] = with_null(chunk["properties"]["usage"])
    choice = chunk["properties"]["choices"]["items"]["properties"]
    choice["finish_reason"] = with_null(choice["finish_reason"])
    return {"info": whole["info"], "schemas": schemas}


@cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/schemas/{name}", "schemas": document()["schemas"]})


def violations(name: str, value: object) -> list[str]:
    """What keeps `value` from being a `name` of the specification; [] where nothing does."""
    errors = list(validator(name).iter_errors(value))
    deepest = [best_match([error]) for error in errors]
    return [f"{name}: {error.json_path}: {error.message}" for error in deepest if error is not None]


def validate(name: str, value: object) -> None:
    """Raises AssertionError unless `value` is a `name` of the specification."""
    assert violations(name, value) == []


@cache
def properties(name: str) -> frozenset[str]:
    """The names of the properties of an object schema, its parts and variants included."""
    return frozenset(_properties(document()["schemas"][name]))


def _properties(schema: Schema) -> set[str]:
    found = set(schema.get("properties", {}))
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
        found |= _properties(part)
    if "$ref" in schema:
        found |= properties(schema["$ref"].rpartition("/")[2])
    return found
