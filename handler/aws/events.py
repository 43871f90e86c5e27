"""Lambda events to HTTP requests: Mangum reads them, and what it trips over is put right on both sides of it.

    Function URL, API Gateway HTTP API   payload 2.0 (HTTP API also 1.0)
    API Gateway REST API                 proxy integration, buffered or STREAM
    Application Load Balancer            with and without multi-value headers

Before Mangum: null fields mean absent, and `Host` / `X-Forwarded-Port` stay out of its sight (an IPv6 host or a
list of ports raises there). After it: the raw path with `%2F` kept, a named stage taken off the path, the server,
and the ASGI version whose `send` may raise OSError.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote

from mangum import Mangum
from mangum.types import LambdaHandler

from handler.aws.asgi import ASGIApp, Headers, Scope
from handler.errors import InvalidRequest, RequestError
from handler.frozen import dataclass

ASGI_VERSION = {"version": "3.0", "spec_version": "2.4"}
# RFC 3986 path characters, and `%`: what is encoded already stays as it came.
PATH_SAFE = "/%!$&'()*+,;=:@"
HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.%]+\]|[^:\[\]]+)(?::(?P<port>\d{1,5}))?")
NOT_IN_HEADERS = re.compile(rb"[\r\n\0]")
HIDDEN = ("host", "x-forwarded-port")

SUPPORTED = (
    "This function answers HTTP events: a Function URL, an API Gateway HTTP API (payload 2.0 or 1.0), an API Gateway "
    "REST API (proxy integration) or an Application Load Balancer"
)

Event = dict[str, Any]


class UnsupportedEvent(RequestError):
    """Not an HTTP event, or one that is damaged: there is nobody to send an HTTP answer to."""

    default_code = "unsupported_event"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One event, translated. `reply(status, headers, body)` makes the buffered answer that its source expects."""

    source: str
    scope: Scope
    reply: Callable[[int, Headers, bytes], dict[str, Any]]

    def body(self) -> bytes:
        """Raises InvalidRequest for a body that cannot be decoded."""
        return _body(self.scope["aws.event"])


def parse_event(data: bytes) -> Event:
    """Raises UnsupportedEvent for what is not JSON, or not an object."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        raise UnsupportedEvent(f"{SUPPORTED}; the event is not valid JSON.") from None
    return as_event(event)


def as_event(event: object) -> Event:
    """Raises UnsupportedEvent for what is not a JSON object."""
    if not isinstance(event, dict):
        raise UnsupportedEvent(f"{SUPPORTED}; the event is not a JSON object.")
    return event


class Translator:
    """Events to requests, for one application (Mangum wants to know it; it is not called here)."""

    def __init__(self, app: ASGIApp) -> None:
        self._mangum = Mangum(app, lifespan="off")

    def __call__(self, event: Event, context: Any) -> Request:
        """Raises UnsupportedEvent."""
        source = source_of(event)
        try:
            hidden, cleaned = _clean(event)
            handler = self._mangum.infer(cleaned, context)
            scope = handler.scope
            _repair(scope, hidden, _raw_path(event))
        except KeyError as error:
            raise UnsupportedEvent(f"{SUPPORTED}; this {source} event lacks {error}.") from error
        except (AttributeError, TypeError, ValueError) as error:
            raise UnsupportedEvent(f"{SUPPORTED}; this {source} event is malformed.") from error
        scope["aws.event"] = event
        return Request(source=source, scope=scope, reply=_replier(handler))


def source_of(event: Event) -> str:
    """The kind of event, in words. Raises UnsupportedEvent."""
    context = event.get("requestContext")
    if isinstance(context, dict):
        if "elb" in context:
            return "Application Load Balancer"
        if event.get("version") == "2.0" and "http" in context:
            return "Function URL" if ".lambda-url." in str(context.get("domainName")) else "HTTP API"
        if event.get("version") == "1.0":
            return "HTTP API"
        if "resource" in event and "httpMethod" in event:
            return "REST API"
    raise UnsupportedEvent(f"{SUPPORTED}; the event is none of these.")


def _clean(event: Event) -> tuple[dict[str, str], Event]:
    """The headers to hide from Mangum, and an event that it can read."""
    cleaned = {name: value for name, value in event.items() if value is not None}
    cleaned.setdefault("path", "/")
    single = {name.lower(): str(value) for name, value in cleaned.get("headers", {}).items() if value is not None}
    hidden = {name: single.pop(name) for name in HIDDEN if name in single}
    cleaned["headers"] = single
    if "multiValueHeaders" in cleaned:
        lists: dict[str, list[Any]] = {}
        for name, values in cleaned["multiValueHeaders"].items():  # names may differ by case only: all values count
            lists.setdefault(name.lower(), []).extend(values or ())
        for name in HIDDEN:
            if values := lists.pop(name, None):
                hidden[name] = str(values[-1])
        cleaned["multiValueHeaders"] = lists
    return hidden, cleaned


def _raw_path(event: Event) -> str:
    """The path as sent, percent-encoded, without the stage that API Gateway puts in front of it."""
    context: Mapping[str, Any] = event["requestContext"]
    stage = context.get("stage") or "$default"
    if event.get("version") == "2.0":
        path = event.get("rawPath") or context["http"]["path"]
        has_stage = stage != "$default"
    else:
        path = event.get("path") or "/"
        # A REST event's path has lost its stage already; the request context's still has it.
        has_stage = stage != "$default" and context.get("path") != f"/{stage}{path}"
    encoded = quote(path, safe=PATH_SAFE)
    prefix = "/" + quote(stage, safe=PATH_SAFE)
    if has_stage and (encoded + "/").startswith(prefix + "/"):
        encoded = encoded[len(prefix) :]
    return encoded or "/"


def _repair(scope: Scope, hidden: Mapping[str, str], raw_path: str) -> None:
    seen = [(bytes(name), bytes(value)) for name, value in scope["headers"]]
    headers = [(name.encode(), value.encode()) for name, value in hidden.items()] + seen
    # No HTTP request has them, so no HTTP client is behind such an event; some headers are repeated in the answer.
    if any(NOT_IN_HEADERS.search(part) for pair in headers for part in pair):
        raise ValueError("a line break or NUL in a header")
    scope["headers"] = headers
    scope["raw_path"] = raw_path.encode()
    scope["path"] = unquote(raw_path)
    scope["asgi"] = dict(ASGI_VERSION)
    scope["server"] = _server(hidden.get("host", ""), hidden.get("x-forwarded-port", ""), scope["scheme"])
    # A load balancer appends the address that it saw: only the last one is not the caller's own claim.
    address = str(scope["client"][0] or "").rpartition(",")[2].strip()
    scope["client"] = (address, 0) if address else None


def _server(host: str, forwarded_port: str, scheme: str) -> tuple[str, int]:
    match = HOST.fullmatch(host)
    name, port = (match["name"].strip("[]"), match["port"]) if match else ("localhost", None)
    if port is None and forwarded_port.isdecimal():
        port = forwarded_port
    return name, int(port) if port else {"http": 80}.get(scheme, 443)


def _body(event: Event) -> bytes:
    body = event.get("body") or ""
    if not isinstance(body, str):
        raise UnsupportedEvent(f"{SUPPORTED}; the event's body is not a string.")
    try:
        return base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("The request body is not valid Unicode: send UTF-8.") from None
    except ValueError:
        raise InvalidRequest("The event marks its body as base64, and it is not: check the integration.") from None


def _replier(handler: LambdaHandler) -> Callable[[int, Headers, bytes], dict[str, Any]]:
    def reply(status: int, headers: Headers, body: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = handler({"status": status, "headers": [list(pair) for pair in headers], "body": body})
        return answer

    return reply
