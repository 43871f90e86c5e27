"""Signature Version 4 as a Function URL checks it, in the `Authorization` header. No I/O.

Written from AWS's description ("Create a signed AWS API request"), so that it is an oracle for what clients sign with.
The messages are AWS's, as callers have reported them.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from lambda_local.event import HttpRequest

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "lambda"
SKEW = 5 * 60  # seconds between the two clocks
_HEADER = re.compile(
    rf"{ALGORITHM} Credential=(?P<key>[^/,]+)/(?P<scope>[^,]+),\s*SignedHeaders=(?P<headers>[^,]+),"
    r"\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_DATE = "%Y%m%dT%H%M%SZ"
_UNRESERVED = "-_.~"

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
    " and signing method. Consult the service documentation for details."
)
UNKNOWN = "The security token included in the request is invalid."


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An IAM identity that may invoke the URL. `session_token`: of temporary ones."""

    access_key: str
    secret_key: str
    session_token: str | None = None


class SignatureRefused(Exception):
    """Answered 403 with the message; `error_type` is `x-amzn-ErrorType`."""

    def __init__(self, message: str, error_type: str = "InvalidSignatureException") -> None:
        super().__init__(message)
        self.message = message
        self.error_type = error_type


def check_signature(request: HttpRequest, known: Iterable[Credentials], *, region: str, now: float) -> str:
    """The access key id of who signed the request. `now` is in Unix seconds. Raises SignatureRefused."""
    match = _HEADER.fullmatch(request.header("authorization") or "")
    date = request.header("x-amz-date") or ""
    if match is None or not re.fullmatch(r"\d{8}T\d{6}Z", date):
        raise SignatureRefused("Forbidden", "AccessDeniedException")
    caller = next((one for one in known if one.access_key == match["key"]), None)
    if caller is None or request.header("x-amz-security-token") != caller.session_token:
        raise SignatureRefused(UNKNOWN, "UnrecognizedClientException")
    scope = f"{date[:8]}/{region}/{SERVICE}/aws4_request"
    if match["scope"] != scope:
        raise SignatureRefused(f"Credential should be scoped to {scope}.")
    _check_time(date, now)
    headers = tuple(match["headers"].split(";"))
    expected = signature(request, caller.secret_key, headers=headers, scope=scope, date=date)
    if "host" not in headers or not hmac.compare_digest(expected, match["signature"]):
        raise SignatureRefused(MISMATCH)
    return caller.access_key


def signature(request: HttpRequest, secret_key: str, *, headers: tuple[str, ...], scope: str, date: str) -> str:
    """The signature over `headers` (lower-case names, sorted) and the body, in hexadecimal digits."""
    hashed = hashlib.sha256(_canonical(request, headers).encode()).hexdigest()
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return _hmac(key, f"{ALGORITHM}\n{date}\n{scope}\n{hashed}").hex()


def _canonical(request: HttpRequest, headers: tuple[str, ...]) -> str:
    path, _, query = request.target.partition("?")
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    arguments = sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
    return "\n".join(
        (
            request.method,
            quote(path or "/", safe="/" + _UNRESERVED),  # encoded once more, as every service but S3 does
            "&".join(f"{name}={value}" for name, value in arguments),
            *(f"{name}:{' '.join((request.header(name) or '').split())}" for name in headers),
            "",
            ";".join(headers),
            hashlib.sha256(request.body).hexdigest(),
        )
    )


def _encoded(text: str) -> str:
    return quote(unquote(text), safe=_UNRESERVED)


def _check_time(date: str, now: float) -> None:
    signed = datetime.strptime(date, _DATE).replace(tzinfo=UTC).timestamp()
    here = datetime.fromtimestamp(now, UTC).strftime(_DATE)
    if signed < now - SKEW:
        edge = datetime.fromtimestamp(now - SKEW, UTC).strftime(_DATE)
        raise SignatureRefused(f"Signature expired: {date} is now earlier than {edge} ({here} - 5 min.)")
    if signed > now + SKEW:
        edge = datetime.fromtimestamp(now + SKEW, UTC).strftime(_DATE)
        raise SignatureRefused(f"Signature not yet current: {date} is still later than {edge} ({here} + 5 min.)")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
