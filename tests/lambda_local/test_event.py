"""HTTP request → event, whole dicts compared."""

from typing import Any

import pytest

from lambda_local.event import HttpRequest, Stamp, function_url_event

STAMP = Stamp(request_id="6f1c", time=1584039838.39, trace_root="1-5e6a8b1e-000000000000000000000001")
DOMAIN = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws"


def event(**request: Any) -> dict[str, Any]:
    return function_url_event(HttpRequest(**{"method": "POST", "target": "/", **request}), STAMP, region="eu-west-1")


def test_a_request_becomes_a_payload_of_format_2() -> None:
    headers = [
        ("host", "127.0.0.1:9000"),
        ("user-agent", "curl/8"),
        ("accept", "a/b"),
        ("accept", "c/d"),
        ("cookie", "x=1; y=2"),
        ("connection", "keep-alive"),
        ("content-type", "application/json; charset=utf-8"),
        ("content-length", "13"),
    ]
    request = {
        "target": "/v1/a%2Fb?q=1&q=2&r=a%20b&empty=",
        "headers": headers,
        "body": '{"é": "text"}'.encode(),
        "client": "10.0.0.7",
        "port": 9000,
    }
    assert event(**request) == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/v1/a%2Fb",
        "rawQueryString": "q=1&q=2&r=a%20b&empty=",
        "cookies": ["x=1", "y=2"],
        "headers": {
            "host": "127.0.0.1:9000",
            "user-agent": "curl/8",
            "accept": "a/b,c/d",
            "content-type": "application/json; charset=utf-8",
            "content-length": "13",
            "x-amzn-trace-id": "Root=1-5e6a8b1e-000000000000000000000001",
            "x-forwarded-for": "10.0.0.7",
            "x-forwarded-port": "9000",
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": {"q": "1,2", "r": "a b", "empty": ""},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abcdefghijklmnopqrstuvwxyz012345",
            "domainName": DOMAIN,
            "domainPrefix": "abcdefghijklmnopqrstuvwxyz012345",
            "http": {
                "method": "POST",
                "path": "/v1/a%2Fb",
                "protocol": "HTTP/1.1",
                "sourceIp": "10.0.0.7",
                "userAgent": "curl/8",
            },
            "requestId": "6f1c",
            "routeKey": "$default",
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1584039838390,
        },
        "body": '{"é": "text"}',
        "isBase64Encoded": False,
    }


def test_what_a_request_lacks_its_event_lacks() -> None:
    bare = event(method="GET")
    assert {"cookies", "queryStringParameters", "body"}.isdisjoint(bare)
    assert bare["isBase64Encoded"] is False
    assert "authorizer" not in bare["requestContext"]


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b"{}", ("{}", False)),
        ("TEXT/Plain; charset=utf-8", b"hi", ("hi", False)),
        ("application/xml", b"<a/>", ("<a/>", False)),
        ("application/octet-stream", b"hi", ("aGk=", True)),
        ("application/x-www-form-urlencoded", b"a=1", ("YT0x", True)),
        ("application/json", b"\xff", ("/w==", True)),
        (None, b"hi", ("aGk=", True)),
    ],
)
def test_a_body_is_text_or_base64(content_type: str | None, body: bytes, expected: tuple[str, bool]) -> None:
    headers = [] if content_type is None else [("content-type", content_type)]
    made = event(headers=headers, body=body)
    assert (made["body"], made["isBase64Encoded"]) == expected


def test_a_proxys_address_is_kept_before_ours() -> None:
    headers = event(headers=[("x-forwarded-for", "1.2.3.4")], client="10.0.0.7")["headers"]
    assert headers["x-forwarded-for"] == "1.2.3.4, 10.0.0.7"
