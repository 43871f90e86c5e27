"""Without an accepted key nothing is reached but what is meant to be open, by whichever source and in whatever form."""

import hmac
import json
import string
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.api.app import ApiConfig
from handler.api.auth import OPEN_PATHS
from handler.errors import EndpointError
from handler.key_list import key_ring, read_key_list
from handler.keys import StaticKeys
from tests.api.conftest import make_app
from tests.fakes import ScriptedDecoder
from tests.security.guarded_runtime import KEY
from tests.security.sources import SOURCES, Event, Pairs, alb, alb_multi_value, answer, function_url, header, rest

CHAT = json.dumps({"model": "fake-model", "messages": [{"role": "user", "content": "hi"}]})
GUARDED = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/embeddings"),
    ("POST", "/tokenize"),
    ("POST", "/detokenize"),
    ("GET", "/v1/models"),
    ("HEAD", "/v1/models"),
    ("GET", "/v1/models/fake-model"),
    ("OPTIONS", "/v1/chat/completions"),
    ("GET", "/nowhere"),
]
each_source = pytest.mark.parametrize("source", SOURCES)


def keys(text: str = KEY) -> StaticKeys:
    return StaticKeys(key_ring(read_key_list(text, where="a test"), where="a test"))


class Guarded:
    """The application with one key, and the model behind it, which tells whether it was asked anything."""

    def __init__(self) -> None:
        self.decoder = ScriptedDecoder("Hello.")
        self.app: FastAPI = make_app(self.decoder, ApiConfig(keys=keys()))

    async def status(self, event: Event) -> int:
        reply = await answer(self.app, event)
        return reply.status if isinstance(reply, EndpointError) else int(reply["statusCode"])


@pytest.fixture
def guarded() -> Iterator[Guarded]:
    """No test in this file may reach the model unless it says so."""
    guarded = Guarded()
    yield guarded
    assert guarded.decoder.forward_calls == 0


@each_source
async def test_every_endpoint_but_the_open_ones_needs_a_key(source: str, guarded: Guarded) -> None:
    make = SOURCES[source]
    assert {await guarded.status(make(method, path, body=CHAT)) for method, path in GUARDED} == {401}
    assert {await guarded.status(make("GET", path)) for path in OPEN_PATHS} == {200}


@each_source
async def test_the_key_opens_so_the_refusals_mean_something(source: str) -> None:
    guarded = Guarded()
    make = SOURCES[source]
    for name, value in (("authorization", f"Bearer {KEY}"), ("Authorization", f"bearer {KEY}"), ("X-Api-Key", KEY)):
        assert await guarded.status(make("POST", "/v1/chat/completions", [(name, value)], CHAT)) == 200


NO_KEYS: list[Pairs] = [
    [("authorization", value)]
    for value in (
        "",
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "Bearer null",
        "Bearer undefined",
        f"Bearer{KEY}",
        f"Bearer\t{KEY}",
        f"Bearer\u00a0{KEY}",
        f"Basic {KEY}",
        f"Token {KEY}",
        KEY,
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        f"Bearer {KEY.upper()}",
        f"Bearer {KEY}\u0000",
        f"Bearer \u0000{KEY}",
        f"Bearer {KEY},Bearer {KEY}",
        f"Bearer {KEY}, Bearer wrong",
        f"Bearer wrong, Bearer {KEY}",
        f'Bearer "{KEY}"',
        f"Bearer {KEY} {KEY}",
        f"Bearer {KEY};q=1",
        f"Bearer {KEY}\r\nx-api-key: {KEY}x",
        f"Bearer \uff53\uff4b{KEY[2:]}",
        f"Bearer {KEY.replace('k', chr(0x212A))}",
        "Bearer " + "A" * 100_000,
        "Bearer *",
        "Bearer %",
        "Bearer ' OR '1'='1",
    )
] + [
    [("x-api-key", "")],
    [("x-api-key", " ")],
    [("x-api-key", f"{KEY},{KEY}")],
    [("x-api-key", f"Bearer {KEY}")],
    [("api-key", KEY)],
    [("x-api-key ", KEY)],
    [("x_api_key", KEY)],
    [("cookie", f"authorization=Bearer {KEY}; x-api-key={KEY}; key={KEY}")],
    [("proxy-authorization", f"Bearer {KEY}")],
    [("x-forwarded-authorization", f"Bearer {KEY}")],
    [("x-original-authorization", f"Bearer {KEY}")],
    # Where they disagree, the first that is a bearer's counts.
    [("authorization", "Bearer wrong"), ("x-api-key", KEY)],
    # Claims of somebody who was let in elsewhere.
    [("x-amzn-oidc-identity", "admin"), ("x-amzn-oidc-data", "e30.e30.x")],
    [("x-forwarded-user", "admin"), ("x-forwarded-for", "127.0.0.1"), ("x-real-ip", "127.0.0.1")],
    [("host", "localhost"), ("x-forwarded-host", "localhost")],
    [("x-http-method-override", "GET"), ("x-method-override", "GET"), ("x-original-url", "/health")],
    [("x-rewrite-url", "/health"), ("x-original-uri", "/health"), ("x-forwarded-prefix", "/health")],
    [("x-forwarded-path", "/health"), ("x-script-name", "/health"), ("x-envoy-original-path", "/health")],
    [("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-key", "x")],
]


@each_source
@pytest.mark.parametrize("headers", NO_KEYS, ids=lambda headers: ascii(headers)[:70])
async def test_what_is_not_quite_the_key_does_not_open(source: str, headers: Pairs, guarded: Guarded) -> None:
    for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models")):
        assert await guarded.status(SOURCES[source](method, path, headers, CHAT)) in (400, 401)


@each_source
async def test_a_preflight_is_answered_without_a_key_and_tells_nothing(source: str, guarded: Guarded) -> None:
    asks = [("origin", "https://evil.example"), ("access-control-request-method", "POST")]
    reply = await answer(guarded.app, SOURCES[source]("OPTIONS", "/v1/models", asks))
    assert not isinstance(reply, EndpointError)
    assert (reply["statusCode"], reply["body"]) == (200, "OK")
    assert header(reply, "access-control-allow-credentials") is None
    # The same headers with another method are no preflight.
    assert await guarded.status(SOURCES[source]("GET", "/v1/models", asks)) == 401


async def test_a_key_in_the_query_the_body_or_a_cookie_is_no_key(guarded: Guarded) -> None:
    query = f"key={KEY}&api_key={KEY}&access_token={KEY}&authorization=Bearer%20{KEY}"
    in_body = json.dumps({**json.loads(CHAT), "api_key": KEY})
    path = "/v1/chat/completions"
    assert await guarded.status(function_url("POST", path, body=in_body, rawQueryString=query)) == 401
    assert (
        await guarded.status(function_url("POST", path, body=CHAT, cookies=[f"key={KEY}", f"x-api-key={KEY}"])) == 401
    )
    assert await guarded.status(rest("POST", path, body=in_body, queryStringParameters={"key": KEY})) == 401


async def test_where_two_lists_of_headers_disagree_a_wrong_key_is_never_made_right(guarded: Guarded) -> None:
    """Mangum reads the lists where there are any: the other headers are not a second chance."""
    wrong, right = {"authorization": "Bearer wrong"}, {"authorization": f"Bearer {KEY}"}
    event = rest("GET", "/v1/models")
    event |= {"headers": right, "multiValueHeaders": {"authorization": ["Bearer wrong"]}}
    assert await guarded.status(event) == 401
    event |= {"headers": wrong, "multiValueHeaders": {"authorization": ["Bearer wrong", f"Bearer {KEY}"]}}
    assert await guarded.status(event) == 401
    event = alb_multi_value(
        "GET", "/v1/models", [("Authorization", "Bearer wrong"), ("authorization", f"Bearer {KEY}")]
    )
    assert await guarded.status(event) == 401
    for value in ([KEY], {"Bearer": KEY}, 1, True, None, [[f"Bearer {KEY}"]]):
        assert await guarded.status(alb("GET", "/v1/models", headers={"authorization": value})) in (400, 401)


@pytest.mark.parametrize("claim", ["authorizer", "identity", "authentication"])
async def test_who_the_event_says_the_caller_is_does_not_matter(claim: str, guarded: Guarded) -> None:
    """API Gateway's or IAM's word is for them to act on: a key is asked for all the same."""
    for make in (function_url, rest, alb):
        event = make("GET", "/v1/models")
        event["requestContext"][claim] = {
            "sourceIp": "127.0.0.1",
            "iam": {"accessKey": KEY, "userArn": "arn:aws:iam::1:root"},
            "apiKey": KEY,
            "apiKeyId": KEY,
            "principalId": "admin",
        }
        assert await guarded.status(event) == 401


TRICKS = [
    "//v1/models",
    "/health/../v1/models",
    "/health/..%2fv1/models",
    "/health/%2e%2e/v1/models",
    "/health%2f..%2fv1/models",
    "/health;/../v1/models",
    "/health;x=1/v1/models",
    "/health/v1/models",
    "/health/",
    "//health",
    "/./health/../v1/models",
    "/v1/models/",
    "/v1/models;health",
    "/v1/models/../../health",
    "/v1/models%00/health",
    "/health%00",
    "/health%00/v1/models",
    "/health%0a",
    "/health%20",
    "/health%3f/v1/models",
    "/health%23/v1/models",
    "/HEALTH/../v1/models",
    "/%68ealth/../v1/models",
    "/health\\..\\v1\\models",
    "/%2f",
    "/%2e/v1/models",
    "/..",
    "/v1/../",
    "https://abc.example/health",
    "http://localhost/v1/models",
    "health",
    "v1/models",
    "*",
    "/prod/v1/models",
    "/$default/v1/models",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/metrics",
    "/debug",
    "/v1",
]


@each_source
@pytest.mark.parametrize("path", TRICKS)
async def test_a_path_that_looks_like_an_open_one_is_not(source: str, path: str, guarded: Guarded) -> None:
    for method in ("GET", "POST", "PUT", "TRACE", "CONNECT", "FOO"):
        assert await guarded.status(SOURCES[source](method, path, body=CHAT)) == 401


@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions"])
async def test_where_the_events_paths_disagree_the_one_that_is_routed_is_the_one_that_is_checked(
    path: str, guarded: Guarded
) -> None:
    for open_path in sorted(OPEN_PATHS):
        event = function_url("POST", path, body=CHAT)
        event["requestContext"]["http"]["path"] = open_path
        assert await guarded.status(event) == 401
        event["rawPath"], event["requestContext"]["http"]["path"] = open_path, path
        assert await guarded.status(event) in (200, 405)  # answered as what it is routed to: the open page
        event = rest("POST", path, body=CHAT)
        event["requestContext"] |= {"path": open_path, "resourcePath": open_path}
        event |= {"resource": open_path, "pathParameters": {"proxy": open_path.strip("/")}}
        assert await guarded.status(event) == 401
        # A stage that eats what comes before an open path leaves that path, to the check and to the router alike.
        event["requestContext"] |= {"stage": path.strip("/"), "path": path}
        event["path"] = path + open_path
        assert await guarded.status(event) in (200, 401, 404, 405)


MUTABLE = string.printable + "\u00e9\u2028\ufeff\u0000\uff0f\u2024"
PATHS = st.one_of(
    st.sampled_from([path for _, path in GUARDED] + TRICKS),
    st.lists(
        st.sampled_from(["/", "//", "v1", "models", "health", "..", ".", "%2e%2e", "%2f", ";", "?", "\\", "%00", ""]),
        max_size=8,
    ).map("".join),
    st.text(MUTABLE, max_size=30),
)
NAMES = st.one_of(
    st.sampled_from(["authorization", "Authorization", "AUTHORIZATION", "x-api-key", "X-API-KEY", "cookie", "host"]),
    st.text(MUTABLE, max_size=12),
)
VALUES = st.one_of(
    st.sampled_from(
        ["Bearer ", "Bearer x", "Bearer", "Basic Og==", "bearer  ", KEY[:-1], f"Bearer {KEY[:-1]}", "null"]
    ),
    st.text(MUTABLE, max_size=30),
)


@settings(max_examples=1000)
@given(
    source=st.sampled_from(sorted(SOURCES)),
    method=st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "get", "PROPFIND", ""]),
    path=PATHS,
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=4),
)
async def test_a_thousand_mutations_without_a_key_reach_nothing(
    source: str, method: str, path: str, headers: list[tuple[str, str]]
) -> None:
    guarded = GUARDED_ONCE
    reply = await answer(guarded.app, SOURCES[source](method, path, headers, CHAT))
    if isinstance(reply, EndpointError):  # no HTTP request at all
        assert 400 <= reply.status < 500
    elif reply["statusCode"] == 200:
        shown = str(reply["body"])
        assert shown in ("", "OK", '{"status":"ready"}') or shown.startswith("<!doctype html>")
    else:
        assert reply["statusCode"] in (400, 401, 404, 405)
    assert guarded.decoder.forward_calls == 0


GUARDED_ONCE = Guarded()


async def test_a_websocket_is_closed(guarded: Guarded) -> None:
    sent = []

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "path": "/v1/models", "headers": [], "query_string": b"", "subprotocols": []}
    await guarded.app(scope, receive, send)
    assert sent == ["websocket.close"]


@pytest.mark.parametrize("number", [1, 10])
async def test_a_look_up_compares_with_every_key_whatever_was_given(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timing, in terms of work: as many comparisons, of as many bytes, for the first key, the last, a near miss and a
    stranger, so how long a refusal takes says nothing of the keys there are."""
    names = [f"sk-key-number-{i}-of-this-test" for i in range(number)]
    ring = keys(",".join(names))
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def counting(a: bytes, b: bytes) -> bool:
        compared.append((len(a), len(b)))
        return compare(a, b)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    found = []
    for given_key in (names[0], names[-1], names[0][:-1], names[0] + "x", "", "s" * 10_000):
        compared.clear()
        found.append(await ring.find(given_key.encode()) is not None)
        assert compared == [(32, 32)] * number
    assert found == [True, True, False, False, False, False]


async def test_a_key_of_any_bytes_opens_and_only_it() -> None:
    """Header bytes beyond ASCII: what Latin-1 calls a space (0xA0, 0x85) may be the end of a letter in UTF-8."""
    for key in ("sk-clé-à", "sk-\u0105\u0105\u0105…", "sk-emoji-\U0001f511"):
        app = make_app(config=ApiConfig(keys=keys(key)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            for given_key, status in ((key, 200), (key[:-1], 401), (key + "\u00a0", 401)):
                headers = [(b"authorization", f"Bearer {given_key}".encode())]
                assert (await client.get("/v1/models", headers=headers)).status_code == status, (key, given_key)
