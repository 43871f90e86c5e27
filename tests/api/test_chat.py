"""POST /v1/chat/completions against the scripted model: answers, ends, limits, and what the log keeps."""

import asyncio
import json
import logging
import time
from collections.abc import MutableMapping
from datetime import UTC, datetime

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handler.api.app import ApiConfig
from tests.api.conftest import MakeClient, Serve, make_app
from tests.fakes import ScriptedDecoder, accepting

CHAT = "/v1/chat/completions"
HI = {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}
ENDLESS = "x" * 100_000
SLOW = 0.001  # seconds for each step of a model that never ends


def chunks(text: str) -> list[dict[str, object]]:
    lines = text.strip().split("\n\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line != "data: [DONE]"]


class Limited:
    """An app under a server that says when an answer has to end."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "state": {"deadline": time.monotonic() + self._seconds}}, receive, send)


def limited_client(decoder: ScriptedDecoder, seconds: float) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(Limited(make_app(decoder), seconds))
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def test_streamed_is_folded_byte_for_byte(make_client: MakeClient) -> None:
    client = make_client(ScriptedDecoder("Größe: 😀!"))
    body = {**HI, "logprobs": True, "top_logprobs": 1}
    whole = (await client.post(CHAT, json=body)).json()
    streamed = await client.post(CHAT, json={**body, "stream": True, "stream_options": {"include_usage": True}})
    deltas = chunks(streamed.text)
    choices = [chunk["choices"][0] for chunk in deltas[:-1]]
    assert (
        "".join(choice["delta"].get("content", "") for choice in choices) == whole["choices"][0]["message"]["content"]
    )
    assert whole["choices"][0]["message"]["content"] == "Größe: 😀!"
    logprobs = [item for choice in choices if choice["logprobs"] for item in choice["logprobs"]["content"]]
    assert logprobs == whole["choices"][0]["logprobs"]["content"]
    assert bytes(byte for item in logprobs for byte in item["bytes"]).decode() == "Größe: 😀!"
    assert choices[-1]["finish_reason"] == whole["choices"][0]["finish_reason"] == "stop"
    assert deltas[-1]["usage"] == whole["usage"]
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.text.endswith("data: [DONE]\n\n")


async def test_one_delta_for_each_token_and_one_id_over_all(make_client: MakeClient) -> None:
    response = await make_client(ScriptedDecoder("Hello.")).post(CHAT, json={**HI, "stream": True})
    answer = chunks(response.text)
    assert [chunk["choices"][0]["delta"] for chunk in answer] == [
        {"role": "assistant", "content": ""},
        *({"content": letter} for letter in "Hello."),
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in answer] == [None] * 7 + ["stop"]
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in answer}) == 1
    assert not any("usage" in chunk for chunk in answer)


async def test_usage_is_exact(make_client: MakeClient) -> None:
    answer = (await make_client(ScriptedDecoder("Hello.")).post(CHAT, json={**HI, "max_tokens": 4})).json()
    # ⟦im_start⟧user\nhi⟦im_end⟧\n⟦im_start⟧assistant\n in bytes, a control token being one.
    assert answer["usage"] == {
        "prompt_tokens": 21,
        "completion_tokens": 4,
        "total_tokens": 25,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "Hell", "refusal": None}
    assert answer["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("sent", "content", "reason"),
    [
        ({"stop": "ll"}, "He", "stop"),
        ({"stop": ["zz", "o."]}, "Hell", "stop"),
        ({"stop": ""}, "Hello.", "stop"),
        ({"max_completion_tokens": 1}, "H", "length"),
        ({"logit_bias": {"72": -100}}, "\x00ello.", "stop"),
        ({"stop_token_ids": [ord("l")]}, "He", "stop"),
        ({"min_tokens": 4, "stop": "e", "max_tokens": 5}, "Hello", "length"),
        ({"ignore_eos": True, "max_tokens": 7}, "Hello.\x00", "length"),
    ],
    ids=str,
)
async def test_parameters_reach_the_model(
    make_client: MakeClient, sent: dict[str, object], content: str, reason: str
) -> None:
    choice = (await make_client(ScriptedDecoder("Hello.")).post(CHAT, json={**HI, **sent})).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (content, reason)


async def test_the_whole_conversation_reaches_the_model(make_client: MakeClient) -> None:
    decoder = ScriptedDecoder("ok")
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": "d"},
    ]
    await make_client(decoder).post(CHAT, json={**HI, "messages": messages})
    text = bytes(token for token in decoder.prompts[0] if token < 256).decode()
    assert text == "system\nbe brief\nuser\na\nb\nassistant\nc\nuser\nd\nassistant\n"


async def test_the_operators_cap_ends_answers(make_client: MakeClient) -> None:
    client = make_client(ScriptedDecoder("Hello."), ApiConfig(max_output_tokens=2))
    choice = (await client.post(CHAT, json=HI)).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("He", "length")


async def test_dropped_fields_are_listed_in_a_header(make_client: MakeClient) -> None:
    client = make_client(config=ApiConfig(unknown_fields="drop"))
    for stream in (False, True):
        response = await client.post(CHAT, json={**HI, "foo": 1, "bär": 2, "stream": stream})
        assert response.status_code == 200
        assert response.headers["x-dropped-fields"] == "foo, b%C3%A4r"
    assert "x-dropped-fields" not in (await client.post(CHAT, json=HI)).headers


async def test_a_failure_in_mid_stream_is_one_error_event_and_no_done(make_client: MakeClient) -> None:
    response = await make_client(ScriptedDecoder("Hello.", fail_at=3)).post(CHAT, json={**HI, "stream": True})
    *answer, last = chunks(response.text)
    assert [chunk["choices"][0]["delta"].get("content") for chunk in answer] == ["", "H", "e", "l"]
    assert list(last) == ["error"]
    assert "[DONE]" not in response.text


async def test_a_deadline_in_mid_answer_ends_it_as_length() -> None:
    async with limited_client(ScriptedDecoder(ENDLESS, context_window=200_000, step_seconds=0.002), 0.5) as client:
        choice = (await client.post(CHAT, json=HI)).json()["choices"][0]
        streamed = chunks((await client.post(CHAT, json={**HI, "stream": True})).text)
    assert choice["finish_reason"] == "length"
    assert set(choice["message"]["content"]) == {"x"}
    assert streamed[-1]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_deadline_before_the_first_token_is_504(stream: bool) -> None:
    async with limited_client(ScriptedDecoder("Hello."), -1) as client:
        response = await client.post(CHAT, json={**HI, "stream": stream})
    assert (response.status_code, response.json()["error"]["code"]) == (504, "deadline_exceeded")


async def test_a_deadline_during_prefill_is_504_while_that_can_be_said() -> None:
    decoder = ScriptedDecoder("Hello.", prefill_chunk=5, step_seconds=0.1)
    async with limited_client(decoder, 0.15) as client:
        response = await client.post(CHAT, json=HI)
    assert response.status_code == 504
    assert decoder.forward_calls < 5


async def test_more_than_the_limit_at_once_is_429(make_client: MakeClient) -> None:
    client = make_client(ScriptedDecoder("x" * 50, step_seconds=SLOW), ApiConfig(max_concurrency=2))
    responses = await asyncio.gather(*(client.post(CHAT, json=HI) for _ in range(3)))
    statuses = sorted(response.status_code for response in responses)
    assert statuses == [200, 200, 429]
    busy = next(response for response in responses if response.status_code == 429)
    assert busy.headers["retry-after"] == "1"
    assert busy.headers["x-should-retry"] == "true"
    assert busy.json()["error"]["type"] == "rate_limit_error"
    # A refused request takes no place, and places come back.
    for sent in (HI, {**HI, "foo": 1}, {**HI, "stream": True}, HI, HI):
        assert (await client.post(CHAT, json=sent)).status_code in (200, 400)


class Caller:
    """A raw ASGI caller that leaves after `patience` body messages, in the way that `leaves_by` says."""

    def __init__(self, body: dict[str, object], *, patience: int, leaves_by: str) -> None:
        self._body = json.dumps(body).encode()
        self._patience = patience
        self._leaves_by = leaves_by
        self._left = asyncio.Event()
        self._asked = False
        self.body_is_whole = True
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._body, "more_body": not self.body_is_whole}
        if self._leaves_by == "send":
            await asyncio.Event().wait()
        if self._patience:
            await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, object]) -> None:
        self.sent.append(message)
        if len(self.sent) > self._patience:
            self._left.set()
            if self._leaves_by == "send":
                raise OSError("the client has gone")

    async def call(self, app: ASGIApp) -> None:
        scope = {"type": "http", "method": "POST", "path": CHAT, "raw_path": CHAT.encode(), "query_string": b""}
        scope |= {"headers": [], "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1"}
        await app(scope, self.receive, self.send)


@pytest.mark.parametrize(
    ("stream", "leaves_by", "patience"), [(True, "send", 4), (True, "message", 4), (False, "message", 0)]
)
async def test_a_client_that_leaves_stops_the_computing(
    stream: bool, leaves_by: str, patience: int, caplog: pytest.LogCaptureFixture
) -> None:
    decoder = ScriptedDecoder(ENDLESS, context_window=200_000, step_seconds=SLOW)
    app = make_app(decoder, ApiConfig(max_concurrency=1))
    caller = Caller({**HI, "stream": stream}, patience=patience, leaves_by=leaves_by)
    with caplog.at_level(logging.INFO, "handler.access"):
        await caller.call(app)
    assert decoder.forward_calls < 50
    # The place is free again, and the log knows what it cost.
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.post(CHAT, json={**HI, "max_tokens": 1})).status_code == 200
    (entry,) = [json.loads(record.getMessage()) for record in caplog.records if record.name == "handler.access"]
    assert entry["disconnected"] is True
    assert entry["prompt_tokens"] == 21
    assert entry["stream"] is stream


async def test_a_client_that_leaves_before_the_last_step_has_left(caplog: pytest.LogCaptureFixture) -> None:
    # The start, the roles, and what one of three steps gave.
    caller = Caller({**HI, "stream": True, "n": 2, "max_tokens": 3}, patience=3, leaves_by="send")
    with caplog.at_level(logging.INFO, "handler.access"):
        await caller.call(make_app(ScriptedDecoder(ENDLESS)))
    (entry,) = [json.loads(record.getMessage()) for record in caplog.records if record.name == "handler.access"]
    assert entry["disconnected"] is True


async def test_clients_that_leave_over_a_socket_free_their_places(serve: Serve) -> None:
    decoder = ScriptedDecoder(ENDLESS, context_window=200_000, step_seconds=SLOW)
    url = serve(decoder, ApiConfig(max_concurrency=1))

    async def is_free(client: httpx.AsyncClient) -> bool:
        for _ in range(500):
            if (await client.post(CHAT, json={**HI, "max_tokens": 1})).status_code == 200:
                return True
            await asyncio.sleep(0.01)
        return False

    async with httpx.AsyncClient(base_url=url) as client:
        async with client.stream("POST", CHAT, json={**HI, "stream": True}) as response:
            await anext(response.aiter_bytes())
        assert await is_free(client)
        with pytest.raises(httpx.ReadTimeout):
            await client.post(CHAT, json=HI, timeout=0.2)
        assert await is_free(client)
    assert decoder.forward_calls < len(ENDLESS) / 10


async def test_a_client_that_leaves_before_its_body_is_whole_gets_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    caller = Caller({}, patience=0, leaves_by="message")
    caller.body_is_whole = False
    with caplog.at_level(logging.INFO):
        await caller.call(make_app())
    assert caller.sent == []
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("handler")]
    assert json.loads(line)["disconnected"] is True


async def test_a_body_over_the_limit_is_refused_while_it_is_being_sent(serve: Serve) -> None:
    async with httpx.AsyncClient(base_url=serve(config=ApiConfig(max_body_bytes=1000))) as client:
        response = await client.post(CHAT, content=b" " * 3_000_000)
        assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")
        assert (await client.post(CHAT, json=HI)).status_code == 200


async def test_the_log_has_one_line_of_numbers_and_no_text(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "a very private question"
    client = make_client(ScriptedDecoder("private answer"), ApiConfig(keys=accepting("private-key")))
    body = {**HI, "messages": [{"role": "user", "content": secret}], "stream": True}
    with caplog.at_level(logging.DEBUG):
        response = await client.post(CHAT, json=body, headers={"x-api-key": "private-key"})
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("handler")]
    (line,) = lines
    entry = json.loads(line)
    assert isinstance(entry.pop("ms"), int)
    assert isinstance(entry.pop("ttft_ms"), int)
    assert entry.pop("tokens_per_second") > 0
    assert datetime.fromisoformat(entry.pop("timestamp")) <= datetime.now(tz=UTC)
    assert entry == {
        "event": "request",
        "level": "INFO",
        "request_id": response.headers["x-request-id"],
        "method": "POST",
        "path": CHAT,
        "status": 200,
        "key": "key-1",
        "model": "fake-model",
        "stream": True,
        "prompt_tokens": 42,
        "completion_tokens": 15,
        "cached_tokens": 0,
        "finish_reason": "stop",
        "cold": True,
    }
    assert "private" not in line


async def test_usage_of_a_failed_stream_is_logged(make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "handler.access"):
        await make_client(ScriptedDecoder("Hello.", fail_at=3)).post(CHAT, json={**HI, "stream": True})
    (entry,) = [json.loads(record.getMessage()) for record in caplog.records if record.name == "handler.access"]
    assert (entry["error"], entry["prompt_tokens"], entry["completion_tokens"]) == ("RuntimeError", 21, 3)
    assert "disconnected" not in entry
