"""What an operator allows of every request: longer prompts are refused by name, longer answers end as `length`."""

import time
from typing import Any

import httpx
import pytest

from handler.api.app import ApiConfig, create_app
from tests.contract.wire import Checked
from tests.embedding_fakes import NAME, embedding_service
from tests.fakes import ScriptedDecoder, chat_service

CHAT, COMPLETIONS, RESPONSES, EMBEDDINGS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
)
HI: dict[str, Any] = {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}]}
HI_TOKENS = 21
ENDLESS = "x" * 100_000


async def post(
    path: str, body: dict[str, Any], decoder: ScriptedDecoder | None = None, **config: Any
) -> httpx.Response:
    app = create_app({"fake-model": chat_service(decoder)}, ApiConfig(**config), embeddings={NAME: embedding_service()})
    checked = Checked(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(checked), base_url="http://test", timeout=60) as client:
        answer = await client.post(path, json=body)
    checked.check()
    return answer


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body", "tokens", "param"),
    [
        (CHAT, HI, HI_TOKENS, "messages"),
        (COMPLETIONS, {"model": "fake-model", "prompt": ["four", "five!"]}, 9, "prompt"),
        (RESPONSES, {"model": "fake-model", "input": "hi"}, HI_TOKENS, "input"),
    ],
)
async def test_a_prompt_above_the_cap_is_refused_before_the_model_runs(
    path: str, body: dict[str, Any], tokens: int, param: str, stream: bool
) -> None:
    decoder = ScriptedDecoder()
    body = body | {"stream": stream}
    refused = await post(path, body, decoder, max_prompt_tokens=tokens - 1)
    assert (refused.status_code, refused.json()["error"]) == (
        400,
        {
            "message": f"This server takes at most {tokens - 1} prompt tokens for each request. However, your {param}"
            f" resulted in {tokens} tokens. Please reduce the length of the {param}.",
            "type": "invalid_request_error",
            "param": param,
            "code": "context_length_exceeded",
        },
    )
    assert decoder.forward_calls == 0
    assert (await post(path, body, decoder, max_prompt_tokens=tokens)).status_code == 200


async def test_texts_to_embed_are_capped_together() -> None:
    body = {"model": NAME, "input": ["ab", "cd"]}  # each between two tokens of the model's own
    refused = await post(EMBEDDINGS, body, max_prompt_tokens=7)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input")
    assert (await post(EMBEDDINGS, body, max_prompt_tokens=8)).status_code == 200


@pytest.mark.parametrize(("path", "body"), [(CHAT, HI), (COMPLETIONS, {"model": "fake-model", "prompt": "hi"})])
async def test_an_answer_is_cut_at_the_operators_bound_and_says_so(path: str, body: dict[str, Any]) -> None:
    answer = (await post(path, body | {"max_tokens": 50}, ScriptedDecoder(ENDLESS), max_output_tokens=5)).json()
    assert (answer["choices"][0]["finish_reason"], answer["usage"]["completion_tokens"]) == ("length", 5)


async def test_a_least_length_above_the_operators_bound_cannot_be_honoured() -> None:
    refused = await post(CHAT, HI | {"min_tokens": 6}, max_output_tokens=5)
    assert (refused.status_code, refused.json()["error"]) == (
        400,
        {
            "message": "Invalid 'min_tokens': this server gives at most 5 tokens in an answer, but got 6 instead.",
            "type": "invalid_request_error",
            "param": "min_tokens",
            "code": "integer_above_max_value",
        },
    )
    assert (await post(CHAT, HI | {"min_tokens": 5}, max_output_tokens=5)).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_ends_as_length_when_its_seconds_are_over(stream: bool) -> None:
    began = time.monotonic()
    decoder = ScriptedDecoder(ENDLESS, context_window=200_000, step_seconds=0.01)
    answer = await post(CHAT, HI | {"stream": stream}, decoder, max_seconds=3)
    assert answer.status_code == 200
    assert '"finish_reason":"length"' in answer.text
    assert time.monotonic() - began < 30  # it would take 1,000 seconds


async def test_a_request_whose_seconds_are_over_before_its_first_token_is_504() -> None:
    answer = await post(CHAT, HI, ScriptedDecoder(prefill_chunk=4, step_seconds=0.1), max_seconds=0.15)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")


async def test_texts_that_are_not_embedded_in_time_are_504() -> None:
    answer = await post(EMBEDDINGS, {"model": NAME, "input": "ab"}, max_seconds=1e-6)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
