"""API keys: `Authorization: Bearer KEY` or `x-api-key: KEY`, before anything of the request is read.

/health, the page at / and CORS preflight need none. Who is let in is `handler.keys`' to say.
"""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from handler.api.error_responses import error_response
from handler.errors import Unauthorized, Unavailable
from handler.keys import Key, KeySource, digest_of
from handler.record import RequestRecord
from handler.scope import KEY_NAME, TENANT

KEY = "handler.key"  # in the scope; absent where no key was needed
OPEN_PATHS = frozenset({"/", "/health"})


class Authentication:
    """ASGI middleware: 401 for every request without an accepted key."""

    def __init__(self, app: ASGIApp, keys: KeySource) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        given = presented_key(Headers(scope=scope))
        try:
            owner = None if given is None else await self._keys.find(given)
        except Unavailable as error:
            await error_response(error)(scope, receive, send)
            return
        if given is None or owner is None:
            await error_response(_refusal(given=given is not None))(scope, receive, send)
            return
        RequestRecord.of(scope).key = owner.name
        scope[KEY] = owner
        scope["state"] = {**(scope.get("state") or {}), TENANT: digest_of(given), KEY_NAME: owner.name}
        await self._app(scope, receive, send)


def presented_key(headers: Headers) -> bytes | None:
    """The bytes of the key that a request carries, if any."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip(" \t"):
        key = headers.get("x-api-key", "")
    # Starlette reads header bytes as Latin-1: back to what was sent. There a byte of a letter may look like
    # a space (0x85, 0xA0), so only what HTTP calls one is taken off.
    return key.strip(" \t").encode("latin-1") or None


def key_of(scope: Scope) -> Key | None:
    """The key that the request came with."""
    key: Key | None = scope.get(KEY)
    return key


def tenant_of(scope: Scope) -> bytes:
    """Whom the request is from: something that stands for its key, and nothing where no key is needed."""
    state: Mapping[str, object] = scope.get("state") or {}
    tenant = state.get(TENANT)
    return tenant if isinstance(tenant, bytes) else b""


def _refusal(*, given: bool) -> Unauthorized:
    if given:
        return Unauthorized("Incorrect API key provided.")
    return Unauthorized("You didn't provide an API key. Send it as a header: Authorization: Bearer YOUR_KEY.")
