"""Makes `openai.json` from OpenAI's OpenAPI document: `python -m tests.contract.vendor openapi.json`.

Kept are the schemas that the bodies of our endpoints reach; dropped are descriptions, examples and vendor extensions,
which say nothing about validity. Nothing is repaired here: `specification` does that when it reads the file.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

OUTPUT = Path(__file__).parent / "openai.json"
ROOTS = (
    "CreateChatCompletionRequest",
    "CreateChatCompletionResponse",
    "CreateChatCompletionStreamResponse",
    "CreateCompletionRequest",
    "CreateCompletionResponse",
    "CreateEmbeddingRequest",
    "CreateEmbeddingResponse",
    "CreateResponse",
    "ErrorResponse",
    "ListModelsResponse",
    "Model",
    "Response",
    "ResponseStreamEvent",
)
PROSE = {"description", "title", "example", "examples", "externalDocs"}


def references(node: object) -> Iterator[str]:
    """The names of the schemas that `node` refers to."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rpartition("/")[2]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def without_prose(node: object, *, names: bool = False) -> object:
    """`node` without what does not constrain. `names`: its keys are names of properties, not keywords."""
    if isinstance(node, list):
        return [without_prose(value) for value in node]
    if not isinstance(node, dict):
        return node
    return {
        key: without_prose(value, names=key == "properties" and not names)
        for key, value in node.items()
        if names or not (key in PROSE or key.startswith("x-"))
    }


def vendored(document: dict[str, dict[str, object]]) -> dict[str, object]:
    schemas = document["components"]["schemas"]
    assert isinstance(schemas, dict)
    wanted = dict.fromkeys(ROOTS)
    pending = list(ROOTS)
    while pending:
        new = [name for name in references(schemas[pending.pop()]) if name not in wanted]
        wanted.update(dict.fromkeys(new))
        pending += wanted.keys() & set(new)
    return {
        "info": {"title": "OpenAI API", "version": document["info"]["version"], "license": "MIT"},
        "schemas": {name: without_prose(schemas[name]) for name in sorted(wanted)},
    }


def written(vendor: dict[str, object]) -> str:
    """One schema a line: small, and a later version's difference can be read."""
    info, schemas = vendor["info"], vendor["schemas"]
    assert isinstance(schemas, dict)
    lines = [f"{json.dumps(name)}: {json.dumps(schema, separators=(',', ':'))}" for name, schema in schemas.items()]
    return f'{{"info": {json.dumps(info)}, "schemas": {{\n' + ",\n".join(lines) + "\n}}\n"


if __name__ == "__main__":
    OUTPUT.write_text(written(vendored(json.loads(Path(sys.argv[1]).read_text()))))
