"""One HTTP request as each of Lambda's event sources would write it, well-formed or not: nothing is cleaned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handler.aws.asgi import ASGIApp
from handler.aws.buffered import BufferedHandler
from handler.errors import EndpointError

Event = dict[str, Any]
Pairs = Sequence[tuple[str, str]]
Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Context:
    """What awslambdaric tells a handler, as far as ours asks."""

    aws_request_id: str = "id-1"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def function_url(method: str, path: str, headers: Pairs = (), body: str = "", **extra: Any) -> Event:
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": _joined(headers),
        "requestContext": {
            "domainName": "abc.lambda-url.us-east-1.on.aws",
            "http": {"method": method, "path": path, "sourceIp": "1.2.3.4", "protocol": "HTTP/1.1"},
            "stage": "$default",
        },
        "body": body,
        "isBase64Encoded": False,
        **extra,
    }


def http_api(method: str, path: str, headers: Pairs = (), body: str = "", **extra: Any) -> Event:
    event = function_url(method, path, headers, body, **extra)
    event["requestContext"]["domainName"] = "abc.execute-api.us-east-1.amazonaws.com"
    return event


def rest(method: str, path: str, headers: Pairs = (), body: str = "", **extra: Any) -> Event:
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": dict(headers),
        "multiValueHeaders": _lists(headers),
        "queryStringParameters": None,
        "requestContext": {"stage": "prod", "path": f"/prod{path}", "identity": {"sourceIp": "1.2.3.4"}},
        "body": body,
        "isBase64Encoded": False,
        **extra,
    }


def alb(method: str, path: str, headers: Pairs = (), body: str = "", **extra: Any) -> Event:
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn"}},
        "httpMethod": method,
        "path": path,
        "queryStringParameters": {},
        "headers": dict(headers),
        "body": body,
        "isBase64Encoded": False,
        **extra,
    }


def alb_multi_value(method: str, path: str, headers: Pairs = (), body: str = "", **extra: Any) -> Event:
    event = alb(method, path, headers, body, **extra)
    del event["headers"], event["queryStringParameters"]
    return event | {"multiValueHeaders": _lists(headers), "multiValueQueryStringParameters": {}} | extra


SOURCES: Mapping[str, Callable[..., Event]] = {
    "Function URL": function_url,
    "HTTP API": http_api,
    "REST API": rest,
    "ALB": alb,
    "ALB, multi-value": alb_multi_value,
}


async def answer(app: ASGIApp, event: Event) -> Answer | EndpointError:
    """What the real handler answers the event with, or our own error that it ends in. Anything else is raised."""
    try:
        return await BufferedHandler(app, state={}, margin_ms=1000)(event, Context())
    except EndpointError as error:
        return error


def header(reply: Answer, name: str) -> str | None:
    """One header of a reply, whichever of the two shapes it has."""
    lists: Mapping[str, Sequence[str]] = reply.get("multiValueHeaders") or {}
    values: Mapping[str, str] = reply.get("headers") or {}
    return values[name] if name in values else (lists[name][-1] if name in lists else None)


def _joined(headers: Pairs) -> dict[str, str]:
    """As payload 2.0 has repeated headers: joined by commas."""
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _lists(headers: Pairs) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for name, value in headers:
        lists.setdefault(name, []).append(value)
    return lists
