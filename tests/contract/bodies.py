"""What a response of each endpoint must be: by OpenAI's specification, and by the openai package's own types.

The package's types are validated strictly (a string is no number), and a key that they do not know is a fault too,
unless it is one of the extensions that the README documents.
"""

import base64
import json
import re
import struct
from collections.abc import Iterator
from functools import cache
from typing import Any

import openai.types as sdk
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter, ValidationError

from tests.contract.specification import document, violations

# endpoint → schema of a whole answer, schema of a stream's events, and the package's types of both.
Contract = tuple[str, str | None, Any, Any]
CONTRACTS: dict[tuple[str, str], Contract] = {
    ("POST", "/v1/chat/completions"): (
        "CreateChatCompletionResponse",
        "CreateChatCompletionStreamResponse",
        ChatCompletion,
        ChatCompletionChunk,
    ),
    ("POST", "/v1/completions"): (
        "CreateCompletionResponse",
        "CompletionChunk",
        sdk.Completion,
        sdk.Completion,
    ),
    ("POST", "/v1/responses"): ("Response", "ResponseStreamEvent", Response, ResponseStreamEvent),
    ("POST", "/v1/embeddings"): ("CreateEmbeddingResponse", None, sdk.CreateEmbeddingResponse, None),
    ("GET", "/v1/models"): ("ListModelsResponse", None, None, None),
    ("GET", "/v1/models/*"): ("Model", None, sdk.Model, None),
}
# Documented extensions: where they may stand, with indexes left out. OpenAI itself answers `store` in a response.
EXTENSIONS = {
    "store",
    "response.store",
    "name",  # of response.function_call_arguments.done: the specification requires it, the package's type forgets it
    "max_model_len",
    "data[].max_model_len",
    "choices[].message.reasoning_content",
    "choices[].delta.reasoning_content",
}


def contract(method: str, path: str) -> Contract | None:
    """The contract of an endpoint; None where OpenAI has none."""
    return CONTRACTS.get((method, re.sub(r"^/v1/models/.+", "/v1/models/*", path)))


def faults(method: str, path: str, status: int, content_type: str, body: bytes) -> list[str]:
    """What is wrong with a whole response; [] where nothing is."""
    if content_type.startswith("text/event-stream"):
        return [fault for value in events(body) for fault in event_faults(method, path, value)]
    if not content_type.startswith("application/json"):
        return []
    value = parsed(body)
    if status >= 400:
        return violations("ErrorResponse", value)
    known = contract(method, path)
    if known is None:
        return []
    schema, _, kind, _ = known
    return violations(schema, value) + type_faults(kind, value)


def events(body: bytes) -> Iterator[Any]:
    """The JSON values of a stream, which may be cut anywhere: an event that is not whole is left out."""
    *whole, _ = body.decode().split("\n\n")
    for block in whole:
        data = "\n".join(line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:"))
        if data and data != "[DONE]":
            yield parsed(data)


def event_faults(method: str, path: str, value: Any) -> list[str]:
    """What is wrong with one event of a stream."""
    known = contract(method, path)
    if isinstance(value, dict) and value.get("error"):
        return violations("ErrorResponse", value)
    if known is None or known[1] is None:
        return [f"{method} {path} has no stream in the specification"]
    _, schema, _, kind = known
    if schema == "ResponseStreamEvent":
        schema = event_schemas().get(value.get("type"), schema)
    return violations(schema, value) + type_faults(kind, value)


@cache
def event_schemas() -> dict[str, str]:
    """`type` → the schema of that event, so that a fault is told of one schema and not of fifty."""
    schemas = document()["schemas"]
    names = [part["$ref"].rpartition("/")[2] for part in schemas["ResponseStreamEvent"]["anyOf"]]
    return {kind: name for name in names for kind in schemas[name]["properties"]["type"]["enum"]}


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def type_faults(kind: Any, value: Any) -> list[str]:
    """What keeps `value` from being the openai package's `kind`."""
    if kind is None:
        return []
    try:
        read = adapter(kind).validate_json(json.dumps(as_the_package_reads(value)), strict=True)
    except ValidationError as error:
        return [f"{fault['loc']}: {fault['msg']}" for fault in error.errors(include_input=False, include_url=False)]
    return [f"{path}: unknown to the openai package" for path in unknown(read) if path not in EXTENSIONS]


def as_the_package_reads(value: Any) -> Any:
    """`value` after what the package does before it validates, and with the nulls that its types forget.

    The package decodes base64 embeddings itself. A streamed `text_completion` says null for a choice that has not
    ended, and an echoed prompt for the log-probability of its first token: OpenAI's own do, though the type is that of
    a whole answer.
    """
    if not isinstance(value, dict):
        return value
    if value.get("object") == "text_completion":
        choices = [c if c["finish_reason"] else {**c, "finish_reason": "stop"} for c in value["choices"]]
        return value | {"choices": [c | {"logprobs": without_nulls(c["logprobs"])} for c in choices]}
    if value.get("object") == "list" and "usage" in value:
        return value | {"data": [item | {"embedding": vector(item["embedding"])} for item in value["data"]]}
    return value


def without_nulls(lists: dict[str, list[Any]] | None) -> dict[str, list[Any]] | None:
    """The legacy log-probabilities without the first token's, if it has none."""
    return lists and {name: items[1:] if items[:1] == [None] else items for name, items in lists.items()}


def vector(embedding: list[float] | str) -> list[float]:
    """The numbers of an embedding that may be base64 of little-endian float32."""
    if isinstance(embedding, list):
        return embedding
    data = base64.b64decode(embedding, validate=True)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def unknown(value: Any, path: str = "") -> Iterator[str]:
    """The paths of everything that the package's types hold only because they let any key pass."""
    if isinstance(value, BaseModel):
        for name in value.model_extra or ():
            yield f"{path}.{name}".removeprefix(".")
        for name in type(value).model_fields:
            yield from unknown(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from unknown(item, f"{path}[]")


def parsed(text: str | bytes) -> Any:
    """JSON as RFC 8259 has it: no NaN, no infinities, no key twice."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), "a key is there twice"
        return dict(pairs)

    return json.loads(text, parse_constant=refuse, object_pairs_hook=once)
