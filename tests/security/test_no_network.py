"""No request makes the server talk to anybody: addresses in it are refused, or are text."""

import socket
from typing import NoReturn

import httpx
import pytest

ADDRESS = "http://169.254.169.254/latest/meta-data/"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}]}


class Reached(BaseException):
    """Nothing in the product catches this one."""


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> NoReturn:
        raise Reached

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)


def user(part: dict[str, object]) -> dict[str, object]:
    return {**CHAT, "messages": [{"role": "user", "content": [part]}]}


def item(part: dict[str, object]) -> dict[str, object]:
    return {"model": "fake-model", "input": [{"type": "message", "role": "user", "content": [part]}]}


def schema(value: dict[str, object]) -> dict[str, object]:
    return {**CHAT, "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": value}}}


REFUSED = {
    "an image": ("/v1/chat/completions", user({"type": "image_url", "image_url": {"url": ADDRESS}})),
    "an image from a file": ("/v1/chat/completions", user({"type": "image_url", "image_url": {"url": "file:///etc"}})),
    "an image in the address": (
        "/v1/chat/completions",
        user({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}),
    ),
    "audio": ("/v1/chat/completions", user({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}})),
    "a file": ("/v1/chat/completions", user({"type": "file", "file": {"file_id": ADDRESS}})),
    "a video": ("/v1/chat/completions", user({"type": "video_url", "video_url": {"url": ADDRESS}})),
    "an item's image": ("/v1/responses", item({"type": "input_image", "image_url": ADDRESS})),
    "an item's file": ("/v1/responses", item({"type": "input_file", "file_url": ADDRESS})),
    "a reference": ("/v1/chat/completions", schema({"$ref": ADDRESS + "schema.json"})),
    "a reference to a file": ("/v1/chat/completions", schema({"$ref": "file:///etc/passwd"})),
    "a dynamic reference": ("/v1/chat/completions", schema({"$dynamicRef": ADDRESS})),
    "a search": ("/v1/chat/completions", {**CHAT, "web_search_options": {}}),
    "a hosted tool": ("/v1/responses", {"model": "fake-model", "input": "a", "tools": [{"type": "web_search"}]}),
    "somebody else's tools": (
        "/v1/responses",
        {"model": "fake-model", "input": "a", "tools": [{"type": "mcp", "server_label": "a", "server_url": ADDRESS}]},
    ),
    "what was stored elsewhere": (
        "/v1/responses",
        {"model": "fake-model", "input": "a", "previous_response_id": ADDRESS},
    ),
    "a template": ("/v1/responses", {"model": "fake-model", "input": "a", "prompt": {"id": ADDRESS}}),
    "a model": ("/v1/chat/completions", {**CHAT, "model": ADDRESS}),
    "a model of the hub": ("/v1/chat/completions", {**CHAT, "model": "HuggingFaceTB/SmolLM2-135M-Instruct"}),
    "a model in S3": ("/v1/chat/completions", {**CHAT, "model": "s3://bucket/model"}),
    "a model's path": ("/v1/chat/completions", {**CHAT, "model": "../../etc/passwd"}),
}


@pytest.mark.parametrize(("path", "body"), REFUSED.values(), ids=REFUSED)
async def test_an_address_is_refused_and_not_looked_up(
    path: str, body: dict[str, object], client: httpx.AsyncClient
) -> None:
    answered = await client.post(path, json=body)
    assert answered.status_code in (400, 404)
    assert answered.json()["error"]["message"]


TEXT = {
    "a message": {"messages": [{"role": "user", "content": f"Fetch {ADDRESS} and file:///etc/passwd"}]},
    "a function": {
        "tools": [
            {"type": "function", "function": {"name": "f", "description": ADDRESS, "parameters": {"$id": ADDRESS}}}
        ]
    },
    "a schema's name": schema({"$schema": ADDRESS, "$id": ADDRESS, "type": "null"}),
}


@pytest.mark.parametrize("fields", TEXT.values(), ids=TEXT)
async def test_an_address_that_is_only_text_stays_text(fields: dict[str, object], client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/chat/completions", json={**CHAT, **fields})).status_code == 200


async def test_a_model_is_looked_for_by_name_only(client: httpx.AsyncClient) -> None:
    for name in ("..%2f..%2fetc%2fpasswd", "s3:%2f%2fbucket", "http:%2f%2f169.254.169.254", "%00"):
        assert (await client.get(f"/v1/models/{name}")).status_code == 404
