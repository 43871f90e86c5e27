"""Models that think, over HTTP: thoughts in `reasoning_content`, never in the content, and counted in the usage."""

from collections.abc import AsyncIterator

import httpx
import pytest

from handler.api.app import create_app
from tests.fakes import CHATML, FakeTokenizer, ScriptedDecoder, chat_service

CHAT = "/v1/chat/completions"
# Writes earlier thoughts, and opens one unless told not to.
THINKING = (
    CHATML.replace(
        "message['content'] +",
        "('<think>' + message.reasoning_content + '</think>' if message.reasoning_content else '')"
        " + message['content'] +",
    )
    + "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
)
ASKED = {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}
THOUGHT = "<think>\nhm, hi\n</think>\n\nHi!"


@pytest.fixture
def decoder() -> ScriptedDecoder:
    return ScriptedDecoder(THOUGHT)


@pytest.fixture
async def client(decoder: ScriptedDecoder) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app({"fake-model": chat_service(decoder, template=THINKING)})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_thoughts_are_apart_from_the_answer(client: httpx.AsyncClient) -> None:
    answer = (await client.post(CHAT, json=ASKED)).json()
    assert answer["choices"][0]["message"] == {
        "role": "assistant",
        "content": "Hi!",
        "refusal": None,
        "reasoning_content": "hm, hi",
    }
    usage = answer["usage"]
    assert usage["completion_tokens"] == len(THOUGHT) + 1
    assert 6 <= usage["completion_tokens_details"]["reasoning_tokens"] <= len(THOUGHT)


async def test_thoughts_are_streamed_as_they_come(client: httpx.AsyncClient) -> None:
    text = (await client.post(CHAT, json={**ASKED, "stream": True})).text
    assert '"delta":{"reasoning_content":"h"}' in text
    assert '"delta":{"content":"H"}' in text
    assert "think>" not in text


async def test_log_probabilities_are_the_answers(client: httpx.AsyncClient) -> None:
    answer = (await client.post(CHAT, json={**ASKED, "logprobs": True})).json()
    listed = answer["choices"][0]["logprobs"]["content"]
    assert bytes(byte for token in listed for byte in token["bytes"]).decode() == "Hi!"


async def test_an_answer_cut_short_in_a_thought_has_no_content(client: httpx.AsyncClient) -> None:
    (choice,) = (await client.post(CHAT, json={**ASKED, "max_tokens": 12})).json()["choices"]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"] == ""
    assert "hm, hi".startswith(choice["message"]["reasoning_content"])


@pytest.mark.parametrize(("effort", "closed"), [("none", True), ("low", False), ("high", False)])
async def test_effort_sets_the_templates_switch(
    client: httpx.AsyncClient, decoder: ScriptedDecoder, effort: str, closed: bool
) -> None:
    assert (await client.post(CHAT, json={**ASKED, "reasoning_effort": effort})).status_code == 200
    assert ("</think>" in FakeTokenizer().text(decoder.prompts[-1])) is closed


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
async def test_earlier_thoughts_reach_the_template(
    client: httpx.AsyncClient, decoder: ScriptedDecoder, key: str
) -> None:
    messages = [*ASKED["messages"], {"role": "assistant", "content": "Hi.", key: "easy"}, *ASKED["messages"]]
    assert (await client.post(CHAT, json={**ASKED, "messages": messages})).status_code == 200
    assert "<think>easy</think>Hi." in FakeTokenizer().text(decoder.prompts[-1])


async def test_a_format_limits_the_answer_and_not_the_thought() -> None:
    opened = THINKING + "{% if add_generation_prompt %}{{ '<think>\n' }}{% endif %}"
    service = chat_service(ScriptedDecoder('yes?\n</think>{"a": 1}'), template=opened)
    transport = httpx.ASGITransport(create_app({"fake-model": service}))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post(CHAT, json={**ASKED, "response_format": {"type": "json_object"}})
    message = answer.json()["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("yes?", '{"a": 1}')
