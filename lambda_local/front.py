"""The Function URL's HTTP side: a request becomes an invocation, its parts become the response, each flushed at once.

Who sees what when things go wrong, before and after the response's first byte:

    the function fails, dies or runs out of time    502 "Internal Server Error"     the connection is cut
    no environment becomes free                     429                             –
    the request is over 6 MB                        413                             –
    AWS_IAM and no signature                        403                             –
    AWS_IAM and a signature that is not right       403                             –

Whether a signature is right is known only where the URL has been told of credentials; else it just has to be there.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Literal
from urllib.parse import parse_qs

import h11

from lambda_local.cors import Cors, is_preflight, preflight_headers, with_cors
from lambda_local.event import HOP_BY_HOP, HttpRequest, Stamp, function_url_event
from lambda_local.http1 import BodyTooLargeError, HttpConnection, text_headers
from lambda_local.invocation import Ended, Failed, Invocation, Part, Throttled
from lambda_local.prelude import Prelude
from lambda_local.sigv4 import Credentials, SignatureRefused, check_signature

REQUEST_LIMIT = 6 * 1024 * 1024
NO_BODY = frozenset({204, 304})
AuthType = Literal["NONE", "AWS_IAM"]
Dispatch = Callable[[Stamp, bytes], Invocation]


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Answers the requests of one Function URL; `dispatch` takes an event and sees to its end."""

    dispatch: Dispatch
    region: str
    auth: AuthType = "NONE"
    credentials: Sequence[Credentials] = ()
    cors: Cors | None = None

    async def respond(self, connection: HttpConnection, head: h11.Request) -> None:
        """One request, to its answer or its cut."""
        stamp = Stamp()
        try:
            body = await connection.body(REQUEST_LIMIT)
        except BodyTooLargeError:
            await _refuse(connection, stamp, TOO_LARGE)
            return
        request = HttpRequest(
            method=head.method.decode("ascii"),
            target=head.target.decode("ascii"),
            headers=text_headers(list(head.headers)),
            body=body,
            client=connection.peer,
            port=connection.port,
        )
        if self.cors is not None and is_preflight(request):
            await connection.respond(200, preflight_headers(self.cors, request))
            return
        try:
            caller = self._caller(request, stamp)
        except SignatureRefused as refused:
            await _refuse(connection, stamp, _Refusal(403, refused.error_type, {_field(refused): refused.message}))
            return
        event = function_url_event(request, stamp, region=self.region, signed_by=caller)
        payload = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        if len(payload) > REQUEST_LIMIT:
            await _refuse(connection, stamp, TOO_LARGE)
            return
        await _Relay(connection, request, stamp, self.cors).run(self.dispatch(stamp, payload))

    def _caller(self, request: HttpRequest, stamp: Stamp) -> str | None:
        """The access key id of an AWS_IAM caller. Raises SignatureRefused."""
        if self.auth == "NONE":
            return None
        if self.credentials:
            return check_signature(request, self.credentials, region=self.region, now=stamp.time)
        caller = access_key(request)
        if caller is None:
            raise SignatureRefused("Forbidden", "AccessDeniedException")
        return caller


class _Relay:
    """Carries one invocation's parts to the client, until the last one or until the client leaves."""

    def __init__(self, connection: HttpConnection, request: HttpRequest, stamp: Stamp, cors: Cors | None) -> None:
        self._connection = connection
        self._request = request
        self._stamp = stamp
        self._cors = cors
        self._bodiless = request.method == "HEAD"

    async def run(self, invocation: Invocation) -> None:
        gone = asyncio.create_task(self._connection.gone())
        read = asyncio.create_task(invocation.read())
        try:
            while not gone.done():
                await asyncio.wait({read, gone}, return_when=asyncio.FIRST_COMPLETED)
                if read.done() and not gone.done():
                    try:
                        await self._send(read.result())
                    finally:
                        invocation.sent()
                    if not isinstance(read.result(), Prelude | bytes):
                        return
                    read = asyncio.create_task(invocation.read())
        finally:
            read.cancel()
            gone.cancel()
            await asyncio.gather(read, gone, return_exceptions=True)
            invocation.leave()

    async def _send(self, part: Part) -> None:
        """One part, on its way to the client. What h11 refuses is the function's fault: a 502, or a cut."""
        match part:
            case Prelude():
                try:
                    head = self._head(part)
                except h11.LocalProtocolError:
                    await _refuse(self._connection, self._stamp, BAD_GATEWAY)
                    raise ConnectionAbortedError from None
                self._bodiless = self._bodiless or part.status in NO_BODY
                await self._connection.send(head)
            case bytes() if not self._bodiless:
                await self._connection.send(h11.Data(data=part))
            case Ended():
                await self._connection.send(h11.EndOfMessage())
            case Failed() if not self._connection.started:
                await _refuse(self._connection, self._stamp, BAD_GATEWAY)
            case Throttled():
                await _refuse(self._connection, self._stamp, THROTTLED)

    def _head(self, prelude: Prelude) -> h11.Response:
        headers = {"content-type": "application/octet-stream", **_own_headers(self._stamp)}
        headers |= {name: value for name, value in prelude.headers.items() if name not in HOP_BY_HOP}
        if self._cors is not None:
            headers = with_cors(self._cors, self._request, headers)
        cookies = [("set-cookie", cookie) for cookie in prelude.cookies]
        return h11.Response(status_code=prelude.status, headers=[*headers.items(), *cookies])


@dataclass(frozen=True, slots=True)
class _Refusal:
    """An answer that the URL gives by itself."""

    status: int
    error_type: str
    body: Mapping[str, Any] | str


TOO_LARGE = _Refusal(
    413,
    "RequestEntityTooLargeException",
    {"Message": f"Request must be smaller than {REQUEST_LIMIT} bytes for the InvokeFunction operation"},
)
BAD_GATEWAY = _Refusal(502, "", "Internal Server Error")
THROTTLED = _Refusal(
    429,
    "TooManyRequestsException",
    {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded."},
)


def _field(refused: SignatureRefused) -> str:
    """AWS writes it large where nothing was signed."""
    return "Message" if refused.error_type == "AccessDeniedException" else "message"


def access_key(request: HttpRequest) -> str | None:
    """The access key id of a request signed with Signature Version 4, in its header or its query; else None."""
    scheme, _, credential = (request.header("authorization") or "").partition(" ")
    if scheme == "AWS4-HMAC-SHA256" and "Signature=" in credential:
        return credential.partition("Credential=")[2].partition("/")[0] or None
    query = parse_qs(request.target.partition("?")[2])
    if "X-Amz-Signature" in query:
        return query.get("X-Amz-Credential", [""])[0].partition("/")[0] or None
    return None


def _own_headers(stamp: Stamp) -> dict[str, str]:
    return {
        "date": formatdate(stamp.time, usegmt=True),
        "x-amzn-requestid": stamp.request_id,
        "x-amzn-trace-id": f"Root={stamp.trace_root}",
    }


async def _refuse(connection: HttpConnection, stamp: Stamp, refusal: _Refusal) -> None:
    headers = {"content-type": "application/json", **_own_headers(stamp)}
    if refusal.error_type:
        headers["x-amzn-errortype"] = refusal.error_type
    body = refusal.body if isinstance(refusal.body, str) else json.dumps(refusal.body)
    await connection.respond(refusal.status, headers, body.encode())
