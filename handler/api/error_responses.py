"""Failures as responses: every one is `{"error": {"message", "type", "param", "code"}}`, Starlette's own included.

`x-should-retry: false` tells OpenAI's SDKs, which by themselves repeat 409, 429 and 5xx, that it would fail again.
"""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.responses import Response

from handler.api.chunks import dumps
from handler.api.values import JsonObject
from handler.errors import (
    ConfigurationError,
    EndpointError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    ServerFault,
    Unauthorized,
    Unavailable,
)

AFTER_NO_MEMORY = 5  # seconds: what takes it now may have ended
INTERNAL_MESSAGE = "The server had an error while processing your request. Its log says more under this request's id."


def error_object(error: EndpointError) -> JsonObject:
    """OpenAI's ErrorResponse."""
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}


def error_response(error: EndpointError, headers: dict[str, str] | None = None) -> Response:
    """The response of an error that was raised on purpose."""
    all_headers = {**(headers or {}), "x-should-retry": "true" if error.retryable else "false"}
    if error.retry_after_seconds is not None:
        all_headers["retry-after"] = str(error.retry_after_seconds)
    if isinstance(error, Unauthorized):
        all_headers["www-authenticate"] = "Bearer"
    return Response(
        dumps(error_object(error)), status_code=error.status, headers=all_headers, media_type="application/json"
    )


def from_http_exception(error: HTTPException, method: str, path: str) -> Response:
    """What the router raises by itself: an unknown path, a method that the path lacks (keeps `Allow`)."""
    headers = {key.lower(): value for key, value in (error.headers or {}).items()}
    known: EndpointError
    if error.status_code == HTTPStatus.NOT_FOUND:
        known = NotFound(f"Unknown request URL: {method} {_shown(path)}. Try GET /v1/models.", code="unknown_url")
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = headers.get("allow", "another method")
        known = MethodNotAllowed(f"Not allowed to {method} on {_shown(path)}. Allowed: {allowed}.")
    elif error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        known = InvalidRequest("The request could not be read.")
    else:
        known = internal_fault()
    return error_response(known, headers)


def told(error: Exception) -> EndpointError:
    """What the caller is told of an error: the truth where it was raised for a caller, that memory was short where it
    was, else nothing."""
    if isinstance(error, EndpointError) and not isinstance(error, ConfigurationError):
        return error
    if isinstance(error, MemoryError):
        return Unavailable(
            "The server has run out of memory with this request; it goes on with others. Please try again, or ask for"
            " less.",
            retry_after_seconds=AFTER_NO_MEMORY,
            code="out_of_memory",
        )
    return internal_fault()


def internal_fault() -> ServerFault:
    """What a caller is told of a fault of ours: nothing."""
    return ServerFault(INTERNAL_MESSAGE)


def _shown(path: str) -> str:
    return path if len(path) <= 80 else path[:80] + "…"
