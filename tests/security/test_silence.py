"""Prompts, answers and keys are in no log, error or metric: not at debug level, not when something of ours breaks."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from handler.api.app import ApiConfig
from handler.errors import EndpointError
from tests.api.conftest import listening, make_app
from tests.fakes import ScriptedDecoder
from tests.security.sources import SOURCES, answer
from tests.security.test_auth_bypass import keys

CANARY = "canary-7f3a91"
KEY = "sk-canary-7f3a91-key"
MESSAGES = [{"role": "user", "content": CANARY}]
CHAT = {"model": "fake-model", "messages": MESSAGES}
CLIENTS = {"httpx", "httpcore"}
SIGNED = {"authorization": f"Bearer {KEY}"}


@dataclass
class Breaking(ScriptedDecoder):
    """Breaks in its n-th forward call, and quotes the prompt as a library might."""

    breaks_at: int = 1

    def call(self) -> None:
        super().call()
        if self.forward_calls == self.breaks_at:
            raise ValueError(f"cannot multiply {CANARY!r}")


@pytest.fixture(autouse=True)
def nothing_is_said(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Fails the test if the canary is in any log record, with its traceback and arguments, or was printed."""
    caplog.set_level(logging.DEBUG)
    yield
    assert caplog.get_records("call")
    assert CANARY not in told(caplog, capfd)


def told(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> str:
    """All that was logged and printed, but for what the test's own client says of its requests."""
    formatter = logging.Formatter("%(name)s %(message)s")
    records = [record for record in caplog.get_records("call") if record.name.partition(".")[0] not in CLIENTS]
    printed = capfd.readouterr()
    return "\n".join([*map(formatter.format, records), printed.out, printed.err])


REQUESTS = {
    "content": ("/v1/chat/completions", CHAT),
    "name": ("/v1/chat/completions", {"model": "fake-model", "messages": [{**MESSAGES[0], "name": CANARY}]}),
    "model": ("/v1/chat/completions", {**CHAT, "model": CANARY}),
    "unknown key": ("/v1/chat/completions", {**CHAT, CANARY: CANARY}),
    "wrong type": ("/v1/chat/completions", {**CHAT, "temperature": CANARY}),
    "role": ("/v1/chat/completions", {**CHAT, "messages": [{"role": CANARY, "content": CANARY}]}),
    "stop": ("/v1/chat/completions", {**CHAT, "stop": [CANARY]}),
    "user": ("/v1/chat/completions", {**CHAT, "user": CANARY, "metadata": {CANARY: CANARY}}),
    "template": ("/v1/chat/completions", {**CHAT, "chat_template_kwargs": {CANARY: CANARY}}),
    "schema": (
        "/v1/chat/completions",
        {**CHAT, "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {CANARY: CANARY}}}},
    ),
    "regex": ("/v1/chat/completions", {**CHAT, "structured_outputs": {"regex": f"({CANARY}"}}),
    "grammar": ("/v1/chat/completions", {**CHAT, "structured_outputs": {"grammar": f"start: {CANARY}"}}),
    "image": (
        "/v1/chat/completions",
        {**CHAT, "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": CANARY}}]}]},
    ),
    "tool": (
        "/v1/chat/completions",
        {**CHAT, "tools": [{"type": "function", "function": {"name": "f", "description": CANARY, "parameters": {}}}]},
    ),
    "prompt": ("/v1/completions", {"model": "fake-model", "prompt": CANARY, "echo": True}),
    "input": ("/v1/responses", {"model": "fake-model", "input": CANARY, "instructions": CANARY}),
    "embedding": ("/v1/embeddings", {"model": "fake-model", "input": CANARY}),
    "tokens": ("/tokenize", {"model": "fake-model", "prompt": CANARY}),
}


@pytest.mark.parametrize("body", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_no_field_of_a_request_is_logged(body: tuple[str, dict[str, object]], stream: bool) -> None:
    path, content = body
    if stream and path in ("/v1/embeddings", "/tokenize"):
        content = {**content, "stream": CANARY}
    elif stream:
        content = {**content, "stream": True}
    app = make_app(ScriptedDecoder(CANARY), ApiConfig(keys=keys(KEY)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        await client.post(path, json=content, headers=SIGNED)


@pytest.mark.parametrize("breaks_at", [1, 3], ids=["before the first token", "in mid-answer"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/completions"])
def test_a_fault_of_ours_that_quotes_the_prompt_is_logged_without_it(path: str, stream: bool, breaks_at: int) -> None:
    app = make_app(Breaking("Hello there.", breaks_at=breaks_at))
    text: object = MESSAGES if path.endswith("chat/completions") else CANARY
    field = {"/v1/chat/completions": "messages", "/v1/responses": "input", "/v1/completions": "prompt"}[path]
    with listening(app) as url, httpx.Client(base_url=url) as client:
        try:
            answered = client.post(path, json={"model": "fake-model", "stream": stream, field: text}, timeout=30).text
        except httpx.RemoteProtocolError:  # cut off in mid-answer
            answered = ""
        assert client.get("/health").status_code == 200
    assert f"multiply '{CANARY}'" not in answered


@pytest.mark.parametrize("source", SOURCES)
async def test_events_are_not_logged_either(source: str) -> None:
    headers = [("authorization", f"Bearer {KEY}"), ("cookie", CANARY), ("x-custom", CANARY), ("referer", CANARY)]
    for app in (make_app(config=ApiConfig(keys=keys(KEY))), make_app(Breaking(breaks_at=1))):
        for extra in ({}, {"isBase64Encoded": True}, {"body": None}, {"body": {CANARY: 1}}, {"headers": [CANARY]}):
            event = SOURCES[source]("POST", "/v1/chat/completions", headers, json.dumps(CHAT))
            got = await answer(app, event | extra)
            if isinstance(got, EndpointError):
                assert CANARY not in repr(got)


@pytest.mark.parametrize("headers", [{"authorization": f"Bearer {KEY}x"}, {"x-api-key": KEY[:-1]}], ids=str)
async def test_a_refused_key_is_not_logged_and_not_repeated(headers: dict[str, str]) -> None:
    app = make_app(config=ApiConfig(keys=keys(KEY)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answered = await client.post("/v1/chat/completions", json=CHAT, headers=headers)
    assert (answered.status_code, CANARY in answered.text) == (401, False)
