"""POST /v1/responses against the scripted model: answers, ends, limits, failures, and what the log keeps."""

import json
import logging
import time

import httpx
import pytest
from openai.types.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from handler.api.app import ApiConfig
from handler.api.values import JsonObject
from tests.api.conftest import MakeClient, Serve, make_app
from tests.fakes import ScriptedDecoder

RESPONSES = "/v1/responses"
HI = {"model": "fake-model", "input": "hi", "temperature": 0}
ENDLESS = "x" * 100_000
SLOW = 0.001  # seconds for each step of a model that never ends


def events(text: str) -> list[JsonObject]:
    return [json.loads(lines.split("\ndata: ")[1]) for lines in text.strip().split("\n\n")]


def texts(response: JsonObject) -> str:
    return Response.model_validate(response).output_text


async def test_streamed_is_folded(make_client: MakeClient) -> None:
    client = make_client(ScriptedDecoder("Größe: 😀!"))
    body = {**HI, "include": ["message.output_text.logprobs"], "top_logprobs": 1}
    whole = (await client.post(RESPONSES, json=body)).json()
    streamed = await client.post(RESPONSES, json={**body, "stream": True})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    sent = events(streamed.text)
    last = sent[-1]["response"]
    assert isinstance(last, dict)
    deltas = [item for item in sent if item["type"] == "response.output_text.delta"]
    assert "".join(str(item["delta"]) for item in deltas) == texts(last) == texts(whole) == "Größe: 😀!"
    part = whole["output"][0]["content"][0]
    told = [token for item in deltas for token in item["logprobs"]]
    assert [(token["token"], token["logprob"], len(token["top_logprobs"])) for token in told] == [
        (token["token"], token["logprob"], len(token["top_logprobs"])) for token in part["logprobs"]
    ]
    assert bytes(byte for token in part["logprobs"] for byte in token["bytes"]).decode() == "Größe: 😀!"
    assert last["usage"] == whole["usage"]


async def test_one_delta_for_each_token(make_client: MakeClient) -> None:
    response = await make_client(ScriptedDecoder("Hello.")).post(RESPONSES, json={**HI, "stream": True})
    deltas = [item["delta"] for item in events(response.text) if item["type"] == "response.output_text.delta"]
    assert deltas == list("Hello.")
    assert "[DONE]" not in response.text


async def test_usage_is_exact_and_a_bound_makes_it_incomplete(make_client: MakeClient) -> None:
    client = make_client(ScriptedDecoder("Hello."))
    answer = (await client.post(RESPONSES, json={**HI, "max_output_tokens": 4})).json()
    # ⟦im_start⟧user\nhi⟦im_end⟧\n⟦im_start⟧assistant\n in bytes, a control token being one.
    assert answer["usage"] == {
        "input_tokens": 21,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 25,
    }
    assert (answer["status"], answer["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert (answer["output"][0]["status"], texts(answer)) == ("incomplete", "Hell")
    assert answer["store"] is False


async def test_every_item_reaches_the_model(make_client: MakeClient) -> None:
    decoder = ScriptedDecoder("ok")
    items = [
        {"role": "developer", "content": "use tools"},
        {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "42"},
    ]
    body = {**HI, "instructions": "be brief", "input": items}
    assert (await make_client(decoder).post(RESPONSES, json=body)).status_code == 200
    prompt = bytes(i for i in decoder.prompts[0] if i < 256).decode()
    assert [prompt.index(text) for text in ("be brief", "use tools", "a\nb", "42")] == sorted(
        prompt.index(text) for text in ("be brief", "use tools", "a\nb", "42")
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_that_does_not_fit_is_refused_before_the_first_byte(
    make_client: MakeClient, stream: bool
) -> None:
    client = make_client(ScriptedDecoder(context_window=20))
    response = await client.post(RESPONSES, json={**HI, "stream": stream})
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, "input", "context_length_exceeded")
    assert "This model's maximum context length is 20 tokens" in error["message"]


@pytest.mark.parametrize(
    ("sent", "status", "param"),
    [
        ({"model": "other"}, 404, "model"),
        ({"previous_response_id": "resp_1"}, 400, "previous_response_id"),
        ({"store": True}, 400, "store"),
        ({"background": True}, 400, "background"),
        ({"tools": [{"type": "web_search"}]}, 400, "tools[0].type"),
        ({"logit_bias": {"99999": 1}}, 400, "logit_bias"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, 400, "input[0].content[0]"),
    ],
    ids=str,
)
async def test_what_cannot_be_honoured_is_named(
    make_client: MakeClient, sent: dict[str, object], status: int, param: str
) -> None:
    response = await make_client().post(RESPONSES, json={**HI, **sent})
    assert (response.status_code, response.json()["error"]["param"]) == (status, param)


async def test_dropped_keys_are_listed(make_client: MakeClient) -> None:
    client = make_client(config=ApiConfig(unknown_fields="drop"))
    response = await client.post(RESPONSES, json={**HI, "client_metadata": {}})
    assert (response.status_code, response.headers["x-dropped-fields"]) == (200, "client_metadata")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_nothing_is_stored(make_client: MakeClient, method: str) -> None:
    response = await make_client().request(method, f"{RESPONSES}/resp_1")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_url")


async def test_a_failure_before_the_end_is_the_last_thing_told(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(ScriptedDecoder("Hello.", fail_at=2))
    with caplog.at_level(logging.ERROR):
        sent = events((await client.post(RESPONSES, json={**HI, "stream": True})).text)
    assert [item["type"] for item in sent[-2:]] == ["error", "response.failed"]
    assert sent[-2]["code"] == "internal_error"
    failed = sent[-1]["response"]
    assert isinstance(failed, dict)
    assert (failed["status"], texts(failed)) == ("failed", "He")
    assert "scripted" not in json.dumps(sent)
    assert (await client.post(RESPONSES, json=HI)).status_code == 500


async def test_the_log_line_counts_and_tells_no_text(make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "handler.access"):
        await make_client(ScriptedDecoder("secret")).post(RESPONSES, json={**HI, "stream": True})
    line = json.loads(caplog.records[-1].message)
    assert (line["path"], line["completion_tokens"], line["finish_reason"]) == (RESPONSES, 7, "stop")
    assert "secret" not in caplog.text


class Limited:
    """An app under a server that says when an answer has to end."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "state": {"deadline": time.monotonic() + self._seconds}}, receive, send)


async def test_a_deadline_ends_the_answer_as_incomplete() -> None:
    transport = httpx.ASGITransport(Limited(make_app(ScriptedDecoder(ENDLESS, step_seconds=SLOW)), 0.2))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = (await client.post(RESPONSES, json=HI)).json()
    assert answer["status"] == "incomplete"
    assert texts(answer).startswith("xx")


async def test_a_client_that_leaves_stops_the_computing(serve: Serve) -> None:
    decoder = ScriptedDecoder(ENDLESS, step_seconds=SLOW)
    async with httpx.AsyncClient(base_url=serve(decoder, ApiConfig(max_concurrency=1))) as client:
        async with client.stream("POST", RESPONSES, json={**HI, "stream": True}) as stream:
            async for _ in stream.aiter_bytes():
                break
        # Its place is free again, or this would be answered 429 for ever.
        while (await client.post(RESPONSES, json={**HI, "max_output_tokens": 1})).status_code == 429:
            pass
    assert decoder.forward_calls < 1000
