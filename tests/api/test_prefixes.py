"""What a client is told of prompts that go on from earlier ones, and that no key tells of another's."""

from collections.abc import AsyncIterator

import httpx
import pytest

from handler.api.app import ApiConfig, create_app
from tests.contract.wire import Checked
from tests.fakes import ScriptedDecoder, accepting, chat_service

HI = {"role": "user", "content": "hi"}
TURN = [HI, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "more"}]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    service = chat_service(ScriptedDecoder("Hello."), prefix_budget=1000)
    app = Checked(create_app({"fake-model": service}, ApiConfig(keys=accepting("alice", "bob"))))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client
    app.check()


async def ask(client: httpx.AsyncClient, path: str, body: dict[str, object], key: str = "alice") -> dict[str, object]:
    sent = {"model": "fake-model", **body}
    response = await client.post(path, json=sent, headers={"x-api-key": key})
    assert response.status_code == 200
    answer: dict[str, object] = response.json()
    return answer


async def test_a_second_turn_counts_the_first_as_cached(client: httpx.AsyncClient) -> None:
    counts = []
    for messages in ([HI], TURN, TURN):
        answer = await ask(client, "/v1/chat/completions", {"messages": messages})
        assert answer["choices"][0]["message"]["content"] == "Hello."
        counts.append(answer["usage"]["prompt_tokens_details"]["cached_tokens"])
    # ⟦im_start⟧user\nhi⟦im_end⟧\n⟦im_start⟧assistant\n; of 52 tokens sent again, the last two are run.
    assert counts == [0, 21, 50]


async def test_responses_share_with_chats(client: httpx.AsyncClient) -> None:
    await ask(client, "/v1/chat/completions", {"messages": [HI]})
    answer = await ask(client, "/v1/responses", {"input": TURN})
    assert answer["usage"]["input_tokens_details"] == {"cached_tokens": 21, "cache_write_tokens": 0}


async def test_the_prompts_of_one_completion_share(client: httpx.AsyncClient) -> None:
    answer = await ask(client, "/v1/completions", {"prompt": ["To be, or not to be, ", "To be, or not to say"]})
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 17


async def test_another_key_finds_nothing(client: httpx.AsyncClient) -> None:
    for key, cached in (("alice", 0), ("bob", 0), ("alice", 19), ("bob", 19)):
        answer = await ask(client, "/v1/chat/completions", {"messages": [HI]}, key)
        assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == cached
