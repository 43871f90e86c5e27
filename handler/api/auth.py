"""API keys: `Authorization: Bearer KEY` or `x-api-key: KEY`, before anything of the request is read.

No keys configured: open. /health, the page at / and CORS preflight need none. Keys are compared as SHA-256 digests, in
constant time, all of them always: how long a refusal takes tells nothing.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from handler.api.error_responses import error_response
from handler.errors import Unauthorized
from handler.scope import TENANT

OPEN_PATHS = frozenset({"/", "/health"})


class KeyRing:
    """The accepted keys; holds their digests only."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = tuple(_digest(key.encode()) for key in keys)

    @property
    def is_open(self) -> bool:
        return not self._digests

    def accepts(self, key: bytes) -> bool:
        given = _digest(key)
        # A sum, not any(): no early end.
        return sum(hmac.compare_digest(given, digest) for digest in self._digests) > 0


class Authentication:
    """ASGI middleware: 401 for every request without an accepted key."""

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._keys.is_open or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        key = presented_key(Headers(scope=scope))
        if key is not None and self._keys.accepts(key):
            scope["state"] = {**(scope.get("state") or {}), TENANT: _digest(key)}
            await self._app(scope, receive, send)
            return
        await error_response(_refusal(given=key is not None))(scope, receive, send)


def presented_key(headers: Headers) -> bytes | None:
    """The bytes of the key that a request carries, if any."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        key = headers.get("x-api-key", "")
    # Starlette reads header bytes as Latin-1: back to what was sent.
    return key.strip().encode("latin-1") or None


def tenant_of(scope: Scope) -> bytes:
    """Whom the request is from: something that stands for its key, and nothing where no key is needed."""
    state: Mapping[str, object] = scope.get("state") or {}
    tenant = state.get(TENANT)
    return tenant if isinstance(tenant, bytes) else b""


def _refusal(*, given: bool) -> Unauthorized:
    if given:
        return Unauthorized("Incorrect API key provided.")
    return Unauthorized("You didn't provide an API key. Send it as a header: Authorization: Bearer YOUR_KEY.")


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
