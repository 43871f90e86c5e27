"""One request through each event source, and each of the traps beside them.

The tests are coroutines because Mangum leaves an event loop behind where it is constructed without one.
"""

import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from handler.aws.asgi import Receive, Scope, Send
from handler.aws.events import Request, Translator, UnsupportedEvent
from handler.errors import InvalidRequest
from tests.aws.fake_runtime_api import function_url

Event = dict[str, Any]
CONTEXT = SimpleNamespace(aws_request_id="id-1")
BODY = '{"messages": "é"}'


async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise NotImplementedError


def translate(event: Event) -> Request:
    return Translator(app)(event, CONTEXT)


def post_to_function_url(path: str = "/v1/models", **extra: Any) -> Event:
    return function_url(path, "POST", **{"body": BODY, **extra})


def http_api_v2(path: str = "/v1/models", *, stage: str = "$default", **extra: Any) -> Event:
    event = post_to_function_url(path, **extra)
    event["requestContext"] |= {"domainName": "abc.execute-api.us-east-1.amazonaws.com", "stage": stage}
    return event


def http_api_v1(path: str = "/v1/models", *, stage: str = "$default", **extra: Any) -> Event:
    return {
        "version": "1.0",
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": "POST",
        "headers": {"Host": "h.example"},
        "multiValueHeaders": {"Host": ["h.example"]},
        "queryStringParameters": None,
        "requestContext": {"stage": stage, "path": path, "identity": {"sourceIp": "1.2.3.4"}},
        "body": BODY,
        "isBase64Encoded": False,
        **extra,
    }


def rest(path: str = "/v1/models", *, stage: str = "prod", **extra: Any) -> Event:
    event = http_api_v1(path, stage=stage, **extra)
    del event["version"]
    event["requestContext"]["path"] = f"/{stage}{path}"
    return event


def alb(path: str = "/v1/models", **extra: Any) -> Event:
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn"}},
        "httpMethod": "POST",
        "path": path,
        "queryStringParameters": {},
        "headers": {"host": "h.example", "x-forwarded-for": "9.9.9.9, 1.2.3.4", "x-forwarded-port": "443"},
        "body": BODY,
        "isBase64Encoded": False,
        **extra,
    }


def alb_multi(path: str = "/v1/models", **extra: Any) -> Event:
    event = alb(path, **extra)
    event["multiValueHeaders"] = {name: [value] for name, value in event.pop("headers").items()}
    event["multiValueQueryStringParameters"] = event.pop("queryStringParameters")
    return event


SOURCES = {
    post_to_function_url: "Function URL",
    http_api_v2: "HTTP API",
    http_api_v1: "HTTP API",
    rest: "REST API",
    alb: "Application Load Balancer",
    alb_multi: "Application Load Balancer",
}
each_source = pytest.mark.parametrize("make", SOURCES, ids=lambda make: make.__name__)


async def test_a_function_url_event_becomes_this_scope() -> None:
    event = function_url("/v1/models/a%2Fb", "POST", BODY, rawQueryString="x=1&x=2", cookies=["c=1", "d=2"])
    request = translate(event)
    assert request.scope == {
        "type": "http",
        "method": "POST",
        "http_version": "1.1",
        "headers": [
            (b"host", b"abc.lambda-url.us-east-1.on.aws"),
            (b"x-forwarded-port", b"443"),
            (b"x-forwarded-proto", b"https"),
            (b"cookie", b"c=1; d=2"),
        ],
        "path": "/v1/models/a/b",
        "raw_path": b"/v1/models/a%2Fb",
        "root_path": "",
        "scheme": "https",
        "query_string": b"x=1&x=2",
        "server": ("abc.lambda-url.us-east-1.on.aws", 443),
        "client": ("1.2.3.4", 0),
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "aws.event": event,
        "aws.context": CONTEXT,
    }


@each_source
async def test_each_source_gives_the_same_request(make: Any) -> None:
    request = translate(make("/v1/models/a%2Fb"))
    scope = request.scope
    assert (request.source, request.body().decode()) == (SOURCES[make], BODY)
    assert (scope["method"], scope["path"], scope["raw_path"], scope["query_string"]) == (
        "POST",
        "/v1/models/a/b",
        b"/v1/models/a%2Fb",
        b"",
    )
    assert (scope["client"], scope["asgi"]["spec_version"]) == (("1.2.3.4", 0), "2.4")
    assert dict(scope["headers"])[b"host"] in (b"h.example", b"abc.lambda-url.us-east-1.on.aws")


@each_source
async def test_a_base64_body_is_decoded(make: Any) -> None:
    encoded = base64.b64encode(b"\x00\xff").decode()
    assert translate(make(body=encoded, isBase64Encoded=True)).body() == b"\x00\xff"


@each_source
async def test_null_fields_mean_absent(make: Any) -> None:
    nulls = dict.fromkeys(
        ("headers", "multiValueHeaders", "queryStringParameters", "multiValueQueryStringParameters", "cookies", "body")
    )
    request = translate(make() | nulls)
    assert (request.scope["headers"], request.scope["query_string"], request.body()) == ([], b"", b"")


@each_source
@pytest.mark.parametrize(
    ("host", "port", "server"),
    [
        ("h.example", None, ("h.example", 443)),
        ("h.example:8080", "443", ("h.example", 8080)),
        ("[::1]:9000", None, ("::1", 9000)),
        ("[2001:db8::1]", "80", ("2001:db8::1", 80)),
        ("h.example", "443, 80", ("h.example", 443)),
        ("h:b:c", None, ("localhost", 443)),
    ],
)
async def test_no_host_header_is_too_odd(make: Any, host: str, port: str | None, server: tuple[str, int]) -> None:
    headers = {"Host": host, "X-Forwarded-Port": port}
    lists = {key: [value] for key, value in headers.items() if value is not None}
    event = make()
    event |= {"multiValueHeaders": lists} if "multiValueHeaders" in event else {"headers": headers}
    scope = translate(event).scope
    assert scope["server"] == server
    assert dict(scope["headers"])[b"host"] == host.encode()


@pytest.mark.parametrize(
    ("event", "path"),
    [
        (http_api_v2("/prod/v1/models", stage="prod"), "/v1/models"),
        (http_api_v2("/prod", stage="prod"), "/"),
        (http_api_v2("/production/v1", stage="prod"), "/production/v1"),
        (http_api_v2("/v1/v1/models", stage="v1"), "/v1/models"),
        (http_api_v1("/prod/v1/models", stage="prod"), "/v1/models"),
        (rest("/v1/models"), "/v1/models"),
        (rest("/v1/models", stage="v1"), "/v1/models"),
        (rest("/v1/models") | {"path": "/prod/v1/models"}, "/v1/models"),
        (function_url("/v10/models"), "/v10/models"),
        (alb("/$default/x"), "/$default/x"),
    ],
)
async def test_a_named_stage_is_taken_off_the_path_and_nothing_else_is(event: Event, path: str) -> None:
    scope = translate(event).scope
    assert (scope["path"], scope["raw_path"]) == (path, path.encode())


async def test_a_path_that_arrives_decoded_is_encoded_again() -> None:
    scope = translate(rest("/v1/models/a b/ü")).scope
    assert (scope["path"], scope["raw_path"]) == ("/v1/models/a b/ü", b"/v1/models/a%20b/%C3%BC")


async def test_repeated_headers_and_parameters_of_multi_value_sources_are_all_there() -> None:
    event = alb_multi(multiValueQueryStringParameters=None)
    event["multiValueHeaders"]["X-A"] = ["1", "2"]
    event["multiValueQueryStringParameters"] = {"q": ["a%20b", "c"]}
    scope = translate(event).scope
    assert [value for name, value in scope["headers"] if name == b"x-a"] == [b"1", b"2"]
    assert scope["query_string"] == b"q=a+b&q=c"


@each_source
async def test_a_body_that_is_not_base64_is_the_callers_fault(make: Any) -> None:
    for body in ("%%%", "YQ", "é"):
        with pytest.raises(InvalidRequest, match="not"):
            translate(make(body=body, isBase64Encoded=True)).body()


async def test_a_body_with_half_a_surrogate_pair_is_the_callers_fault() -> None:
    with pytest.raises(InvalidRequest, match="Unicode"):
        translate(function_url(body="\ud800")).body()


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({}, "the event is none of these."),
        ({"requestContext": {"routeKey": "$connect", "connectionId": "c"}}, "the event is none of these."),
        ({"Records": [{"cf": {"request": {}}}]}, "the event is none of these."),
        ({"version": "2.0", "requestContext": {"http": {"path": "/"}}}, "this HTTP API event lacks 'sourceIp'."),
        (alb() | {"headers": ["a"]}, "this Application Load Balancer event is malformed."),
        (rest() | {"requestContext": {"identity": 1}}, "this REST API event is malformed."),
        (rest("/\ud800"), "this REST API event is malformed."),
        (rest() | {"httpMethod": None}, "this REST API event lacks 'httpMethod'."),
    ],
)
async def test_another_event_is_refused_with_the_list_of_sources(event: Event, reason: str) -> None:
    with pytest.raises(UnsupportedEvent) as error:
        translate(event)
    assert error.value.message.startswith("This function answers HTTP events: ")
    assert error.value.message.endswith("; " + reason)


@each_source
async def test_the_reply_has_the_shape_of_its_source(make: Any) -> None:
    reply = translate(make()).reply(200, [(b"content-type", b"application/json"), (b"set-cookie", b"a=1")], b"{}")
    flat = {"content-type": "application/json", "set-cookie": "a=1"}
    base = {"statusCode": 200, "body": "{}", "isBase64Encoded": False}
    assert (
        reply
        == base
        | {
            "Function URL": {"headers": {"content-type": "application/json"}, "cookies": ["a=1"]},
            "HTTP API": {"headers": {"content-type": "application/json"}, "cookies": ["a=1"]}
            if make().get("version") == "2.0"
            else {"headers": flat, "multiValueHeaders": {}},
            "REST API": {"headers": flat, "multiValueHeaders": {}},
            "Application Load Balancer": {"multiValueHeaders": {key: [value] for key, value in flat.items()}}
            if "multiValueHeaders" in make()
            else {"headers": flat},
        }[SOURCES[make]]
    )


SHIPPED = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parents[2] / "events").glob("*.json")}


@pytest.mark.parametrize("event", SHIPPED.values(), ids=SHIPPED.keys())
async def test_every_event_that_ships_is_a_request_to_an_endpoint(event: Event) -> None:
    request = translate(event)
    if request.scope["method"] == "POST":
        assert request.scope["path"] == "/v1/chat/completions"
        assert json.loads(request.body())["messages"]
    else:
        assert request.scope["path"] in ("/health", "/v1/models")
        assert request.body() == b""
