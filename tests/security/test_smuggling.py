"""What travels through an event's fields gets neither into the answer's headers nor between the lines of the log."""

import json

import pytest

from handler.aws.prelude import prelude
from handler.errors import EndpointError
from tests.api.conftest import make_app
from tests.security.sources import SOURCES, Answer, Event, answer, function_url, header

CHAT = json.dumps({"model": "fake-model", "messages": [{"role": "user", "content": "hi"}]})
each_source = pytest.mark.parametrize("source", SOURCES)


async def reply(event: Event) -> Answer:
    got = await answer(make_app(), event)
    assert not isinstance(got, EndpointError), got
    return got


@each_source
@pytest.mark.parametrize("mark", ["\r\n", "\n", "\r", "\0"], ids=ascii)
async def test_a_line_break_or_nul_in_a_header_is_no_http_request(source: str, mark: str) -> None:
    """A preflight's answer repeats `access-control-request-headers`."""
    asks = [("origin", "https://a.example"), ("access-control-request-method", "POST")]
    for name, value in (("access-control-request-headers", f"a{mark}set-cookie: b=1"), (f"x{mark}y", "z")):
        got = await answer(make_app(), SOURCES[source]("OPTIONS", "/v1/models", [*asks, (name, value)]))
        assert isinstance(got, EndpointError)
        assert got.message.endswith("event is malformed.")


@each_source
async def test_an_answers_headers_are_the_servers_own(source: str) -> None:
    claims = [
        ("x-request-id", "mine"),
        ("openai-processing-ms", "0"),
        ("set-cookie", "a=b"),
        ("content-type", "application/json"),
        ("location", "https://evil.example"),
    ]
    got = await reply(SOURCES[source]("GET", "/v1/models", claims))
    assert str(header(got, "x-request-id")).startswith("req_")
    assert header(got, "openai-processing-ms") is not None
    assert [header(got, name) for name in ("set-cookie", "location")] == [None, None]
    assert [header(got, name) for name in ("x-content-type-options", "cache-control")] == ["nosniff", "no-store"]


@each_source
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://a.example\t", "*"])
async def test_an_origin_is_not_reflected_and_credentials_are_not_allowed(source: str, origin: str) -> None:
    got = await reply(SOURCES[source]("GET", "/health", [("origin", origin), ("cookie", "a=b")]))
    assert header(got, "access-control-allow-credentials") is None
    assert header(got, "access-control-allow-origin") in ("*", None)


@each_source
@pytest.mark.parametrize(
    ("claim", "status"),
    [
        (("content-length", "0"), 200),
        (("content-length", "5"), 200),
        (("content-length", "-1"), 200),
        (("content-length", "1e9"), 200),
        (("content-length", "99999999999999999999999"), 413),
        (("transfer-encoding", "chunked"), 200),
        (("transfer-encoding", "gzip, chunked"), 200),
        (("expect", "100-continue"), 200),
    ],
    ids=str,
)
async def test_the_body_is_the_events_whatever_its_headers_claim(
    source: str, claim: tuple[str, str], status: int
) -> None:
    got = await reply(SOURCES[source]("POST", "/v1/chat/completions", [claim], CHAT))
    assert got["statusCode"] == status


@each_source
async def test_a_log_line_stays_one_line(source: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    forged = 'x\n{"status": 200, "key": "admin"}\r\u2028\x1b[2J'
    for event in (
        SOURCES[source]("GET", "/v1/" + forged),
        SOURCES[source]("GET" + forged, "/v1/models"),
        SOURCES[source]("GET", "/v1/models/" + forged.replace("\n", "%0a").replace("\r", "%0d")),
        SOURCES[source]("POST", "/v1/chat/completions", body=json.dumps({"model": forged, "messages": []})),
    ):
        await answer(make_app(), event)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("handler")]
    assert lines
    for line in lines:
        assert not set("\n\r\u2028\x1b") & set(line)
        assert json.loads(line).get("key") != "admin"


async def test_ids_of_an_event_are_not_put_into_the_answer() -> None:
    event = function_url("GET", "/health", requestId='a"\r\nset-cookie: x')
    event["requestContext"] |= {"requestId": 'b"\r\nset-cookie: x', "time": "\r\n", "accountId": "\0"}
    got = await reply(event)
    assert "set-cookie" not in json.dumps(got["headers"])


def test_a_streamed_answers_head_cannot_be_left_by_a_header() -> None:
    """Eight NUL bytes end the head of a streamed answer: in JSON there are none."""
    head = prelude(200, [(b"x-a", b"\0" * 8 + b'"}{'), (b"x-b", b"1\r\nset-cookie: c=1")])
    assert head.index(b"\0") == len(head) - 8
    assert json.loads(head[:-8]) == {
        "statusCode": 200,
        "headers": {"x-a": "\0" * 8 + '"}{', "x-b": "1\r\nset-cookie: c=1"},
        "cookies": [],
    }
