"""POST /v1/completions against the scripted model: answers, echoes, scores, streams and refusals."""

import json
import math
import time
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from handler.api.app import ApiConfig, create_app
from tests.api.conftest import MakeClient, make_app
from tests.fakes import VOCAB_SIZE, ScriptedDecoder, accepting, chat_service

PATH = "/v1/completions"
HI = {"model": "fake-model", "prompt": "hi", "temperature": 0}
EVEN = pytest.approx(-math.log(VOCAB_SIZE), abs=1e-6)


def chunks(text: str) -> list[dict[str, Any]]:
    lines = text.strip().split("\n\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line != "data: [DONE]"]


async def choices(client: httpx.AsyncClient, **more: object) -> list[dict[str, Any]]:
    response = await client.post(PATH, json={**HI, **more})
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["choices"]
    return found


async def test_a_completion_is_the_object_that_openai_documents(make_client: MakeClient) -> None:
    answer = (await make_client(ScriptedDecoder("Größe")).post(PATH, json=HI)).json()
    assert answer.pop("id").startswith("cmpl-")
    assert abs(answer.pop("created") - time.time()) < 60
    assert answer == {
        "object": "text_completion",
        "model": "fake-model",
        "system_fingerprint": "fp_0123456789",
        "choices": [{"text": "Größe", "index": 0, "logprobs": None, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 2,
            "completion_tokens": 8,
            "total_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }


@pytest.mark.parametrize(
    ("sent", "text", "reason"),
    [
        ({}, "0123456789abcdef", "length"),
        ({"max_tokens": 3}, "012", "length"),
        ({"max_tokens": 100}, "0123456789abcdefgh", "stop"),
        ({"max_tokens": 0}, "", "length"),
        ({"max_tokens": 0, "echo": True}, "hi", "length"),
        ({"echo": True, "max_tokens": 2}, "hi01", "length"),
        ({"stop": "34"}, "012", "stop"),
        ({"stop": ["zz", "2"], "echo": True}, "hi01", "stop"),
        ({"stop_token_ids": [ord("2")]}, "01", "stop"),
        ({"logit_bias": {str(ord("0")): -100}, "max_tokens": 2}, "\x001", "length"),
        ({"prompt": [104, 105], "echo": True, "max_tokens": 1}, "hi0", "length"),
        ({"prompt": [256, 105], "echo": True, "max_tokens": 1}, "<|im_start|>i0", "length"),
    ],
    ids=str,
)
async def test_parameters_reach_the_model(
    make_client: MakeClient, sent: dict[str, object], text: str, reason: str
) -> None:
    [choice] = await choices(make_client(ScriptedDecoder("0123456789abcdefgh")), **sent)
    assert (choice["text"], choice["finish_reason"]) == (text, reason)


async def test_several_prompts_and_choices_are_numbered_through(make_client: MakeClient) -> None:
    client = make_client(ScriptedDecoder("!"))
    response = await client.post(PATH, json={**HI, "prompt": ["a", "bc"], "n": 2, "echo": True})
    answer = response.json()
    assert [(choice["index"], choice["text"]) for choice in answer["choices"]] == [
        (0, "a!"),
        (1, "a!"),
        (2, "bc!"),
        (3, "bc!"),
    ]
    # Each prompt is run once for its two choices; each choice is "!" and an end token.
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (3, 8)


async def test_log_probabilities_in_the_legacy_shape(make_client: MakeClient) -> None:
    script = [{ord("a"): math.log(3), ord("b"): math.log(2)}, 0xC3, 0xA9, ord("z")]
    [choice] = await choices(make_client(ScriptedDecoder(script)), logprobs=2)
    rest = VOCAB_SIZE - 2 + 5
    first = {"a": pytest.approx(math.log(3 / rest), abs=1e-6), "b": pytest.approx(math.log(2 / rest), abs=1e-6)}
    logprobs = choice["logprobs"]
    assert choice["text"] == "aéz"
    assert logprobs["tokens"] == ["a", "bytes:\\xc3", "bytes:\\xa9", "z"]
    assert logprobs["text_offset"] == [0, 1, 1, 2]
    assert logprobs["top_logprobs"][0] == first
    assert logprobs["token_logprobs"] == [first["a"], *[pytest.approx(0, abs=1e-6)] * 3]
    assert [len(top) for top in logprobs["top_logprobs"]] == [2] * 4


async def test_an_echo_has_its_own_log_probabilities(make_client: MakeClient) -> None:
    [choice] = await choices(make_client(ScriptedDecoder("!")), prompt="né", echo=True, logprobs=0)
    assert choice["text"] == "né!"
    assert choice["logprobs"] == {
        "tokens": ["n", "bytes:\\xc3", "bytes:\\xa9", "!"],
        # The scripted model has its wish only after the last token that it was given: before the last of the prompt.
        "token_logprobs": [None, EVEN, pytest.approx(-100, abs=1e-3), pytest.approx(0, abs=1e-6)],
        "top_logprobs": [
            None,
            {"bytes:\\xc3": EVEN},
            {"bytes:\\xa9": pytest.approx(-100, abs=1e-3)},
            {"!": pytest.approx(0, abs=1e-6)},
        ],
        "text_offset": [0, 1, 1, 2],
    }


async def test_a_prompt_can_be_scored_alone(make_client: MakeClient) -> None:
    decoder = ScriptedDecoder("!")
    [choice] = await choices(make_client(decoder), prompt="abc", echo=True, logprobs=1, max_tokens=0)
    assert (choice["text"], choice["finish_reason"]) == ("abc", "length")
    assert choice["logprobs"]["tokens"] == ["a", "b", "c"]
    assert decoder.forward_calls == 1


async def test_control_tokens_among_the_alternatives_have_names(make_client: MakeClient) -> None:
    script = [{ord("a"): 3.0, 256: 2.0, 257: 1.0}]
    [choice] = await choices(make_client(ScriptedDecoder(script)), logprobs=3)
    assert list(choice["logprobs"]["top_logprobs"][0]) == ["a", "<|im_start|>", "<|im_end|>"]


@pytest.mark.parametrize(
    "more",
    [{}, {"logprobs": 2}, {"echo": True, "logprobs": 2}, {"prompt": ["a", "bé"], "n": 2, "echo": True, "logprobs": 0}],
    ids=str,
)
async def test_streamed_is_folded(make_client: MakeClient, more: dict[str, object]) -> None:
    client = make_client(ScriptedDecoder("Größe: 😀!"))
    whole = (await client.post(PATH, json={**HI, **more})).json()
    body = {**HI, **more, "stream": True, "stream_options": {"include_usage": True}}
    streamed = await client.post(PATH, json=body)
    *told, usage = chunks(streamed.text)
    joined: dict[int, dict[str, Any]] = {}
    for chunk in told:
        [piece] = chunk["choices"]
        choice = joined.setdefault(piece["index"], {"index": piece["index"], "text": "", "logprobs": None})
        choice["text"] += piece["text"]
        choice["finish_reason"] = piece["finish_reason"]
        if piece["logprobs"] is not None:
            lists = choice["logprobs"] = choice["logprobs"] or {name: [] for name in piece["logprobs"]}
            for name, values in piece["logprobs"].items():
                lists[name] += values
    assert list(joined.values()) == whole["choices"]
    assert usage == {**usage, "choices": [], "usage": whole["usage"]}
    assert all(chunk["usage"] is None for chunk in told)
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in (*told, usage)}) == 1
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert streamed.headers["content-type"].startswith("text/event-stream")


async def test_one_delta_for_each_token(make_client: MakeClient) -> None:
    response = await make_client(ScriptedDecoder("Hello.")).post(PATH, json={**HI, "stream": True, "echo": True})
    told = [chunk["choices"][0] for chunk in chunks(response.text)]
    assert [choice["text"] for choice in told] == ["hi", *"Hello.", ""]
    assert [choice["finish_reason"] for choice in told] == [None] * 7 + ["stop"]
    assert not any("usage" in chunk for chunk in chunks(response.text))


@pytest.mark.parametrize(
    ("constraint", "text"),
    [({"choice": ["no", "yes"]}, "yes"), ({"regex": "y[0-9]{2}"}, "y00"), ({"json_object": True}, "{}")],
    ids=str,
)
async def test_each_choice_keeps_to_its_constraint(
    make_client: MakeClient, constraint: dict[str, object], text: str
) -> None:
    client = make_client(ScriptedDecoder([{ord("y"): 1.0}] + [{ord("}"): 1.0, ord("0"): 0.5, 257: 0.2}] * 20))
    told = await choices(client, prompt=["a", "b"], structured_outputs=constraint, n=2)
    assert [(choice["text"], choice["finish_reason"]) for choice in told] == [(text, "stop")] * 4


async def test_a_constraint_that_cannot_be_kept_is_refused_by_its_own_name(make_client: MakeClient) -> None:
    response = await make_client().post(PATH, json={**HI, "structured_outputs": {"regex": "("}})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "structured_outputs.regex")


async def test_the_same_seed_is_the_same_completion_alone_or_among_others(make_client: MakeClient) -> None:
    client = make_client(ScriptedDecoder([{}] * 20))
    sent = {"temperature": 1, "seed": 7, "n": 2, "max_tokens": 12}
    alone = await choices(client, prompt="b", **sent)
    among = await choices(client, prompt=["a", "b"], **sent)
    assert [choice["text"] for choice in among[2:]] == [choice["text"] for choice in alone]
    assert alone[0]["text"] != alone[1]["text"]


async def test_a_base_model_answers() -> None:
    app = create_app({"fake-model": chat_service(ScriptedDecoder("ok"), template=None)})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await choices(client))[0]["text"] == "ok"
        messages = [{"role": "user", "content": "hi"}]
        refused = await client.post("/v1/chat/completions", json={"model": "fake-model", "messages": messages})
        assert refused.status_code == 400
        assert "/v1/completions" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("sent", "status", "param", "code"),
    [
        ({"model": "gpt-4o"}, 404, "model", "model_not_found"),
        ({"prompt": "x" * 5000}, 400, "prompt", "context_length_exceeded"),
        ({"prompt": ["x", "x" * 5000]}, 400, "prompt", "context_length_exceeded"),
        ({"prompt": [999]}, 400, "prompt", "invalid_value"),
        ({"prompt": ""}, 400, "prompt", "invalid_value"),
        ({"best_of": 2}, 400, "best_of", "unsupported_value"),
        ({"suffix": "x"}, 400, "suffix", "unsupported_parameter"),
        ({"n": 9}, 400, "n", "integer_above_max_value"),
        ({"logit_bias": {"999": 1}}, 400, "logit_bias", "invalid_value"),
        ({"foo": 1}, 400, "foo", "unknown_parameter"),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
async def test_refusals_come_before_the_first_byte(
    make_client: MakeClient, sent: dict[str, object], status: int, param: str, code: str, stream: bool
) -> None:
    response = await make_client().post(PATH, json={**HI, **sent, "stream": stream})
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (status, param, code)
    if code == "context_length_exceeded":
        assert error["message"].startswith("This model's maximum context length is 4096 tokens.")


async def test_a_prompt_that_fits_runs_to_the_end_of_the_window(make_client: MakeClient) -> None:
    client = make_client(ScriptedDecoder("x" * 100, context_window=8))
    [choice] = await choices(client, max_tokens=100)
    assert (choice["text"], choice["finish_reason"]) == ("xxxxxx", "length")


async def test_keys_and_dropped_fields(make_client: MakeClient) -> None:
    client = make_client(config=ApiConfig(keys=accepting("k"), unknown_fields="drop"))
    assert (await client.post(PATH, json=HI)).status_code == 401
    response = await client.post(PATH, json={**HI, "foo": 1}, headers={"authorization": "Bearer k"})
    assert (response.status_code, response.headers["x-dropped-fields"]) == (200, "foo")


async def test_a_failure_in_mid_stream_is_one_error_event_and_no_done(make_client: MakeClient) -> None:
    response = await make_client(ScriptedDecoder("Hello.", fail_at=2)).post(PATH, json={**HI, "stream": True})
    *told, last = chunks(response.text)
    assert [chunk["choices"][0]["text"] for chunk in told] == ["H", "e"]
    assert list(last) == ["error"]
    assert "[DONE]" not in response.text


class Limited:
    """An app under a server that says when an answer has to end."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "state": {"deadline": time.monotonic() + self._seconds}}, receive, send)


async def test_the_deadline_ends_every_choice_with_what_there_is() -> None:
    app = Limited(make_app(ScriptedDecoder("x" * 100_000, step_seconds=0.001, context_window=100_000)), 0.2)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        first, second = await choices(client, prompt=["a", "b"], max_tokens=90_000)
    assert set(first["text"]) == {"x"}
    assert (first["finish_reason"], second["text"], second["finish_reason"]) == ("length", "", "length")
