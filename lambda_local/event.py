"""HTTP request → Function URL event (payload format 2.0). No I/O.

What AWS's pages leave open is chosen so: a body is text where its media type is `text/*`, `application/json`,
`application/javascript` or `application/xml` (measured by others on payload 2.0; everything else, a form or no type at
all included, arrives as base64) and its bytes are UTF-8. `rawPath` is the path as sent. Absent things are absent keys,
as in recorded events; `accountId` is "anonymous" on a public URL. `host` and `x-forwarded-proto` say the truth about
the local connection, so that a redirect made from them works.
"""

import base64
import secrets
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

URL_ID = "abcdefghijklmnopqrstuvwxyz012345"
ACCOUNT_ID = "123456789012"
TEXT_TYPES = frozenset({"application/json", "application/javascript", "application/xml"})
HOP_BY_HOP = frozenset({"connection", "expect", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request as it came over the wire. Header names in lower case, in order, repeated ones repeated."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    client: str = "127.0.0.1"
    port: int = 9000

    def header(self, name: str) -> str | None:
        """All values of one header, joined by commas; None where it is absent."""
        values = [value for key, value in self.headers if key == name]
        return ",".join(values) if values else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What differs between two identical requests: id, time and trace."""

    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    time: float = field(default_factory=time.time)
    trace_root: str = field(default_factory=lambda: f"1-{int(time.time()):08x}-{secrets.token_hex(12)}")


def function_url_event(
    request: HttpRequest, stamp: Stamp, *, region: str, signed_by: str | None = None
) -> dict[str, Any]:
    """The event that a function behind a Function URL receives.

    signed_by: the access key id of an AWS_IAM caller; None on a public URL.
    """
    path, _, query = request.target.partition("?")
    moment = datetime.fromtimestamp(stamp.time, tz=UTC)
    event: dict[str, Any] = {"version": "2.0", "routeKey": "$default", "rawPath": path or "/", "rawQueryString": query}
    if cookies := _cookies(request):
        event["cookies"] = cookies
    event["headers"] = _headers(request, stamp)
    if query:
        event["queryStringParameters"] = _join(parse_qsl(query, keep_blank_values=True))
    event["requestContext"] = {
        "accountId": "anonymous" if signed_by is None else ACCOUNT_ID,
        "apiId": URL_ID,
        **({} if signed_by is None else {"authorizer": {"iam": _caller(signed_by)}}),
        "domainName": f"{URL_ID}.lambda-url.{region}.on.aws",
        "domainPrefix": URL_ID,
        "http": {
            "method": request.method,
            "path": path or "/",
            "protocol": "HTTP/1.1",
            "sourceIp": request.client,
            "userAgent": request.header("user-agent") or "",
        },
        "requestId": stamp.request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": moment.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(stamp.time * 1000),
    }
    text = _text(request)
    if request.body:
        event["body"] = base64.b64encode(request.body).decode() if text is None else text
    event["isBase64Encoded"] = text is None
    return event


def _cookies(request: HttpRequest) -> list[str]:
    values = [value for name, value in request.headers if name == "cookie"]
    return [cookie.strip() for value in values for cookie in value.split(";") if cookie.strip()]


def _headers(request: HttpRequest, stamp: Stamp) -> dict[str, str]:
    headers = _join([(name, value) for name, value in request.headers if name not in HOP_BY_HOP | {"cookie"}])
    headers.setdefault("x-amzn-trace-id", f"Root={stamp.trace_root}")
    forwarded = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{forwarded}, {request.client}" if forwarded else request.client
    headers["x-forwarded-port"] = str(request.port)
    headers["x-forwarded-proto"] = "http"
    return headers


def _join(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _text(request: HttpRequest) -> str | None:
    """The body as text, or None where it must travel as base64."""
    if not request.body:
        return ""
    media_type = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if not (media_type.startswith("text/") or media_type in TEXT_TYPES):
        return None
    try:
        return request.body.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _caller(access_key: str) -> dict[str, Any]:
    return {
        "accessKey": access_key,
        "accountId": ACCOUNT_ID,
        "callerId": "AIDACKCEVSQ6C2EXAMPLE",
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": f"arn:aws:iam::{ACCOUNT_ID}:user/local",
        "userId": "AIDACKCEVSQ6C2EXAMPLE",
    }
