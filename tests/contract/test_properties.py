"""Random requests, valid and not, made from the field tables and sent to a live server on the scripted model.

Whatever is sent: no 5xx, no hang, every 4xx in the shape of an error, whose `param` is a place in the request; what is
wrong or unknown is never accepted in silence; every answer is held against the contract.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.api.completion_fields import COMPLETION_FIELDS
from handler.api.embedding_fields import EMBEDDING_FIELDS
from handler.api.fields import FIELDS, Field
from handler.api.responses import fields as responses
from tests.api.conftest import listening, make_app
from tests.contract.requests import COMPANIONS, HI, JSON, RESPONSES_TOOL, SPECIAL, invalid, valid
from tests.contract.specification import properties
from tests.contract.wire import Checked
from tests.fakes import ScriptedDecoder

Body = dict[str, Any]
Table = tuple[Field[object], ...]

TABLES: dict[str, Table] = {
    "/v1/chat/completions": FIELDS,
    "/v1/completions": COMPLETION_FIELDS,
    "/v1/responses": responses.FIELDS,
}
SMALL: dict[str, Body] = {
    "/v1/chat/completions": {"model": "fake-model", "messages": [HI], "max_tokens": 3},
    "/v1/completions": {"model": "fake-model", "prompt": "hi", "max_tokens": 3},
    "/v1/responses": {"model": "fake-model", "input": "hi", "max_output_tokens": 16},
}
TYPED = {"tools": [[], [RESPONSES_TOOL]], "tool_choice": ["none", "auto"]}
PATHS = sorted(TABLES)
examples = settings(max_examples=60)


def special(path: str) -> dict[str, list[Any]]:
    """The listed values, as the endpoint writes them."""
    listed = dict(SPECIAL)
    if path == "/v1/responses":
        listed |= TYPED
        del listed["prompt"]
    if path == "/v1/completions":
        listed["logprobs"] = [0, 1, 5]
    return listed


def companions(path: str, name: str) -> Body:
    needed = dict(COMPANIONS.get(name, {}))
    if path == "/v1/responses":
        if "logprobs" in needed:
            needed = {"include": ["message.output_text.logprobs"]}
        if "tools" in needed:
            needed["tools"] = [RESPONSES_TOOL]
    return needed


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of the scripted model behind the contract; nothing may take longer than its time limit."""
    checked = Checked(make_app(ScriptedDecoder("Hello.")))
    with listening(checked) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client
    assert checked.seen > 500
    checked.check()


def ask(client: httpx.Client, path: str, body: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = client.post(path, content=content, headers={"content-type": "application/json"})
    assert response.status_code < 500
    if response.status_code != 200:
        error = response.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert error["message"]
        if isinstance(body, dict) and error["param"] is not None:
            assert names_a_place(error["param"], body, missing=error["code"] == "missing_required_parameter"), error
    return response


def names_a_place(param: str, body: Body, *, missing: bool) -> bool:
    """Whether `a.b[0].c` leads somewhere in the body; the last step may be what is missing."""
    if param in body:
        return True
    steps = re.findall(r"[^.\[\]]+", param)
    place: Any = body
    for i, step in enumerate(steps):
        if isinstance(place, list) and step.isdigit() and int(step) < len(place):
            place = place[int(step)]
        elif isinstance(place, dict) and step in place:
            place = place[step]
        else:
            return missing and i == len(steps) - 1
    return True


@pytest.mark.parametrize(
    ("table", "schema"),
    [
        (FIELDS, "CreateChatCompletionRequest"),
        (COMPLETION_FIELDS, "CreateCompletionRequest"),
        (responses.FIELDS, "CreateResponse"),
        (EMBEDDING_FIELDS, "CreateEmbeddingRequest"),
    ],
    ids=["chat", "completions", "responses", "embeddings"],
)
def test_every_request_property_of_the_specification_has_a_row(table: Table, schema: str) -> None:
    assert properties(schema) <= {row.name for row in table}


ROWS = [pytest.param(path, row, id=f"{path[4:]}-{row.name}") for path in PATHS for row in TABLES[path]]


@pytest.mark.parametrize(("path", "row"), ROWS)
def test_a_valid_value_is_accepted(client: httpx.Client, path: str, row: Field[object]) -> None:
    @settings(max_examples=5)
    @given(valid(row, special(path)))
    def accepted(value: Any) -> None:
        body = SMALL[path] | companions(path, row.name) | {row.name: value}
        if row.name == "max_completion_tokens":
            del body["max_tokens"]
        assert ask(client, path, body).status_code == 200

    accepted()


@pytest.mark.parametrize(("path", "row"), ROWS)
def test_an_invalid_value_is_refused_by_name(client: httpx.Client, path: str, row: Field[object]) -> None:
    @settings(max_examples=8)
    @given(invalid(row))
    def refused(value: Any) -> None:
        response = ask(client, path, SMALL[path] | companions(path, row.name) | {row.name: value})
        assert response.status_code == (404 if row.name == "model" and isinstance(value, str) else 400)
        assert re.split(r"[.\[]", response.json()["error"]["param"])[0] == row.name

    refused()


def bodies(path: str) -> st.SearchStrategy[Body]:
    """Any number of valid values together, which may contradict each other."""
    rows = {row.name: valid(row, special(path)) for row in TABLES[path]}
    return st.fixed_dictionaries({}, optional=rows).map(lambda values: SMALL[path] | values)


@pytest.mark.parametrize("path", PATHS)
def test_valid_values_together_are_answered_or_refused_by_name(client: httpx.Client, path: str) -> None:
    @examples
    @given(bodies(path))
    def answered(body: Body) -> None:
        response = ask(client, path, body)
        if response.status_code != 200:
            assert response.json()["error"]["param"] is not None
        elif body.get("stream"):
            assert response.headers["content-type"].startswith("text/event-stream")
            last = response.text.rstrip().rpartition("\n\n")[2]
            assert last == "data: [DONE]" or "response.completed" in last or "response.incomplete" in last
        elif path != "/v1/responses":
            prompts = body["prompt"] if path == "/v1/completions" else None
            many = len(prompts) if isinstance(prompts, list) and not isinstance(prompts[0], int) else 1
            assert len(response.json()["choices"]) == (body.get("n") or 1) * many

    answered()


PRESENT = JSON.filter(lambda value: value is not None)  # null means absent
OPAQUE = {"metadata", "chat_template_kwargs", "logit_bias", "parameters", "schema", "json", "prompt_cache_options"}


def objects(value: Any, path: str = "") -> Iterator[tuple[str, Body]]:
    """Every object of a request whose keys the API defines, and its path."""
    if isinstance(value, dict):
        yield path, value
        for key, item in value.items():
            # What these hold is the caller's own, or a JSON schema, or taken or refused as a whole.
            if key not in OPAQUE:
                yield from objects(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from objects(item, f"{path}[{i}]")


@pytest.mark.parametrize("path", PATHS)
def test_an_unknown_key_anywhere_is_refused_by_name(client: httpx.Client, path: str) -> None:
    @examples
    @given(bodies(path), st.from_regex(r"[a-z]{1,3}_{2}[a-z]{1,3}", fullmatch=True), PRESENT, st.data())
    def refused(body: Body, key: str, value: Any, data: st.DataObject) -> None:
        body = json.loads(json.dumps(body))
        place, holder = data.draw(st.sampled_from(list(objects(body))))
        holder[key] = value
        response = ask(client, path, body)
        assert response.status_code == 400
        error = response.json()["error"]
        assert (error["param"], error["code"]) == (f"{place}.{key}" if place else key, "unknown_parameter")

    refused()


def nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a request that holds a value: its holder, and its key or index."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(item, dict | list):
            yield from nodes(item)


@pytest.mark.parametrize("path", PATHS)
def test_a_request_with_anything_in_any_place_is_answered_or_refused(client: httpx.Client, path: str) -> None:
    @examples
    @given(bodies(path), JSON, st.data())
    def survived(body: Body, value: Any, data: st.DataObject) -> None:
        body = json.loads(json.dumps(body))
        holder, key = data.draw(st.sampled_from(list(nodes(body))))
        holder[key] = value
        ask(client, path, body)

    survived()


@pytest.mark.parametrize("path", PATHS)
@examples
@given(body=JSON | st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()[:-1]))
def test_a_body_that_is_no_request_is_refused(client: httpx.Client, path: str, body: Any) -> None:
    assert ask(client, path, body).status_code in (400, 404)
