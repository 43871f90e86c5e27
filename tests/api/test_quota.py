"""Limits of keys: what is refused and how, what is told, and what an answer costs in the end, however it ends."""

import asyncio
import json
import threading

import httpx
import openai
import pytest

from handler.api.app import ApiConfig, create_app
from handler.api.quota import Meter, Quotas
from handler.counter import Count, MemoryCounter
from handler.errors import QuotaExceeded, RateLimited, Unavailable
from handler.keys import Key, KeyRing, StaticKeys, digest_of
from tests.api.conftest import MakeClient, Serve
from tests.contract.wire import Checked
from tests.embedding_fakes import NAME, embedding_service
from tests.fakes import ScriptedDecoder

CHAT = "/v1/chat/completions"
HI = {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}]}
PROMPT, ANSWER = 21, 7  # tokens of HI, and of "Hello." with its end
NOON = 1_795_348_800.0  # 2026-11-22 12:00:00 UTC


class Endless:
    """A counter whose minutes and days never end; `down`: it is out of reach. `numbers` are by key and kind."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.down = False
        self.settled = threading.Event()

    def add(self, name: str, amount: int, *, limit: int | None, expires: int) -> Count:
        del expires
        if self.down:
            raise Unavailable("The server cannot count requests at the moment.", retry_after_seconds=1)
        kind = name.rsplit("/", 1)[0]
        value = self.numbers.get(kind, 0)
        if limit is not None and value + amount > limit:
            return Count(value=value, added=False)
        self.numbers[kind] = value + amount
        if amount < 0:
            self.settled.set()
        return Count(value=value + amount, added=True)


def limited(counter: Endless, *, requests: int | None = None, tokens: int | None = None) -> ApiConfig:
    keys = (
        Key(name="alice", digests=(digest_of(b"a"),), requests_per_minute=requests, tokens_per_day=tokens),
        Key(name="bob", digests=(digest_of(b"b"),)),
    )
    return ApiConfig(keys=StaticKeys(KeyRing(keys)), counter=counter)


def ratelimits(response: httpx.Response) -> dict[str, str]:
    return {
        name.removeprefix("x-ratelimit-"): value
        for name, value in response.headers.items()
        if name.startswith("x-ratelimit-") and "reset" not in name
    }


ALICE, BOB = {"x-api-key": "a"}, {"x-api-key": "b"}


async def test_requests_above_the_minutes_number_are_429_and_other_keys_go_on(make_client: MakeClient) -> None:
    client = make_client(config=limited(Endless(), requests=2))
    for remaining in ("1", "0"):
        response = await client.post(CHAT, json=HI, headers=ALICE)
        assert (response.status_code, ratelimits(response)) == (
            200,
            {"limit-requests": "2", "remaining-requests": remaining},
        )
    response = await client.post(CHAT, json=HI, headers=ALICE)
    wait = int(response.headers["retry-after"])
    assert (response.status_code, response.headers["x-should-retry"]) == (429, "true")
    assert 1 <= wait <= 60
    assert response.headers["x-ratelimit-reset-requests"] in (f"{wait}s", "1m0s")
    assert response.json() == {
        "error": {
            "message": "Rate limit reached for the key alice on requests per min (RPM): Limit 2, Used 2, Requested 1."
            f" Please try again in {wait}s.",
            "type": "requests",
            "param": None,
            "code": "rate_limit_exceeded",
        }
    }
    response = await client.post(CHAT, json=HI, headers=BOB)
    assert (response.status_code, ratelimits(response)) == (200, {})


async def test_what_runs_no_model_is_not_counted(make_client: MakeClient) -> None:
    counter = Endless()
    client = make_client(config=limited(counter, requests=1, tokens=9))
    for path, body in (("/tokenize", {"prompt": "a"}), ("/detokenize", {"tokens": [1]})):
        assert (await client.post(path, json=body, headers=ALICE)).status_code == 200
    assert (await client.get("/v1/models", headers=ALICE)).status_code == 200
    assert (await client.post(CHAT, content=b"{", headers=ALICE)).status_code == 400
    assert counter.numbers == {}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_an_answer_costs_its_tokens(make_client: MakeClient, stream: bool) -> None:
    counter = Endless()
    client = make_client(ScriptedDecoder("Hello."), limited(counter, tokens=1000))
    body = {**HI, "max_completion_tokens": 100, "stream": stream}
    response = await client.post(CHAT, json=body, headers=ALICE)
    assert (response.status_code, counter.numbers["alice/tokens"]) == (200, PROMPT + ANSWER)
    assert ratelimits(response) == {"limit-tokens": "1000", "remaining-tokens": str(1000 - PROMPT - 100)}
    if stream:
        assert response.text.endswith("data: [DONE]\n\n")


async def test_an_answer_that_could_exceed_the_day_is_refused_before_it_begins(make_client: MakeClient) -> None:
    counter, decoder = Endless(), ScriptedDecoder("Hello.")
    client = make_client(decoder, limited(counter, tokens=100))
    assert (await client.post(CHAT, json={**HI, "max_completion_tokens": 79}, headers=ALICE)).status_code == 200
    calls = decoder.forward_calls
    response = await client.post(CHAT, json={**HI, "n": 2, "max_completion_tokens": 30}, headers=ALICE)
    assert (response.status_code, response.headers["x-should-retry"]) == (429, "false")
    assert response.json() == {
        "error": {
            "message": "The key alice has a limit of 100 tokens per day and 72 of them left until midnight UTC; prompt"
            " and answer could come to 81. Please send a shorter prompt or a smaller max_completion_tokens.",
            "type": "insufficient_quota",
            "param": None,
            "code": "insufficient_quota",
        }
    }
    assert 1 <= int(response.headers["retry-after"]) <= 86_400
    assert (decoder.forward_calls, counter.numbers) == (calls, {"alice/tokens": 28})


async def test_no_bound_means_the_windows_rest(make_client: MakeClient) -> None:
    client = make_client(ScriptedDecoder("Hello.", context_window=64), limited(Endless(), tokens=100))
    first = await client.post(CHAT, json=HI, headers=ALICE)
    assert ratelimits(first) == {"limit-tokens": "100", "remaining-tokens": "36"}
    assert (await client.post(CHAT, json=HI, headers=ALICE)).status_code == 200
    assert (await client.post(CHAT, json=HI, headers=ALICE)).json()["error"]["code"] == "insufficient_quota"


@pytest.mark.parametrize(
    ("path", "body", "used"),
    [
        ("/v1/completions", {"model": "fake-model", "prompt": ["ab", "c"], "max_tokens": 3, "n": 2}, 3 + 12),
        ("/v1/responses", {"model": "fake-model", "input": "hi", "max_output_tokens": 3}, PROMPT + 3),
    ],
    ids=["completions", "responses"],
)
async def test_other_endpoints_cost_their_tokens_too(
    make_client: MakeClient, path: str, body: dict[str, object], used: int
) -> None:
    counter = Endless()
    client = make_client(ScriptedDecoder("x" * 50), limited(counter, tokens=used))
    assert (await client.post(path, json=body, headers=ALICE)).status_code == 200
    assert counter.numbers == {"alice/tokens": used}


async def test_embeddings_cost_their_texts_tokens() -> None:
    counter = Endless()
    app = Checked(create_app({}, limited(counter, tokens=10), embeddings={NAME: embedding_service()}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answers = [
            await client.post("/v1/embeddings", json={"model": NAME, "input": text}, headers=ALICE)
            for text in (["ab", "c"], "d", "d")
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert (ratelimits(answers[0])["remaining-tokens"], counter.numbers) == ("3", {"alice/tokens": 4 + 3 + 3})
    app.check()


async def test_an_answer_that_fails_before_its_first_byte_costs_nothing(make_client: MakeClient) -> None:
    counter = Endless()
    client = make_client(ScriptedDecoder("Hello.", fail_at=0), limited(counter, requests=9, tokens=9999))
    assert (await client.post(CHAT, json=HI, headers=ALICE)).status_code == 500
    assert (await client.post(CHAT, json={**HI, "messages": []}, headers=ALICE)).status_code == 400
    assert counter.numbers == {"alice/requests": 1, "alice/tokens": 0}


def test_a_client_that_leaves_pays_for_what_was_made(serve: Serve) -> None:
    counter = Endless()
    url = serve(ScriptedDecoder("x" * 2000, step_seconds=0.005), limited(counter, tokens=5000))
    with httpx.stream("POST", url + CHAT, json={**HI, "stream": True}, headers=ALICE) as response:
        lines = response.iter_lines()
        for _ in range(8):
            next(lines)
    assert counter.settled.wait(20)
    assert PROMPT < counter.numbers["alice/tokens"] < PROMPT + 1000


async def test_where_nobody_can_count_nobody_is_served(make_client: MakeClient) -> None:
    counter, decoder = Endless(), ScriptedDecoder("Hello.")
    client = make_client(decoder, limited(counter, tokens=5000))
    counter.down = True
    response = await client.post(CHAT, json=HI, headers=ALICE)
    assert (response.status_code, response.headers["retry-after"], decoder.forward_calls) == (503, "1", 0)
    assert (await client.post(CHAT, json=HI, headers=BOB)).status_code == 200


async def test_the_official_client_repeats_no_request_that_is_over_the_days_tokens(serve: Serve) -> None:
    url = serve(config=limited(Endless(), tokens=1))
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="a", max_retries=2) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="fake-model", messages=[{"role": "user", "content": "hi"}])
    assert (caught.value.code, caught.value.type) == ("insufficient_quota", "insufficient_quota")


async def test_many_requests_at_once_keep_within_the_days_tokens(make_client: MakeClient) -> None:
    counter = Endless()
    config = limited(counter, tokens=5 * (PROMPT + ANSWER))
    client = make_client(ScriptedDecoder("Hello."), config)
    body = {**HI, "max_completion_tokens": ANSWER}
    responses = await asyncio.gather(*(client.post(CHAT, json=body, headers=ALICE) for _ in range(8)))
    served = sum(response.status_code == 200 for response in responses)
    assert (served, counter.numbers["alice/tokens"]) == (5, 5 * (PROMPT + ANSWER))


async def test_a_minute_and_a_day_are_those_of_the_clock() -> None:
    now = NOON + 59
    quotas = Quotas(MemoryCounter(), clock=lambda: now)
    key = Key(name="alice", digests=(), requests_per_minute=1, tokens_per_day=10)

    def meter() -> Meter:
        made = quotas.meter(key)
        assert made is not None
        return made

    first = meter()
    await first.count_request()
    await first.reserve(8)
    assert first.headers == {
        "x-ratelimit-limit-requests": "1",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "10",
        "x-ratelimit-remaining-tokens": "2",
        "x-ratelimit-reset-tokens": "11h59m1s",
    }
    with pytest.raises(RateLimited):
        await meter().count_request()
    now = NOON + 60
    await meter().count_request()
    with pytest.raises(QuotaExceeded, match="and 2 of them left until midnight UTC; prompt and answer could come to 3"):
        await meter().reserve(3)
    await first.settle(5)
    await first.settle(5)
    await meter().reserve(5)
    now = NOON + 12 * 3600
    await meter().reserve(10)


async def test_what_is_settled_after_midnight_is_given_back_to_its_own_day() -> None:
    now = NOON + 12 * 3600 - 1
    counter = Endless()
    names: list[str] = []

    class Naming:
        def add(self, name: str, amount: int, *, limit: int | None, expires: int) -> Count:
            names.append(json.dumps([name, amount, expires - int(NOON)]))
            return counter.add(name, amount, limit=limit, expires=expires)

    meter = Quotas(Naming(), clock=lambda: now).meter(Key(name="alice", digests=(), tokens_per_day=10))
    assert meter is not None
    await meter.reserve(10)
    now += 5
    await meter.settle(4)
    expires = 36 * 3600
    assert names == [
        json.dumps(["alice/tokens/2026-11-22", 10, expires]),
        json.dumps(["alice/tokens/2026-11-22", -6, expires]),
    ]
