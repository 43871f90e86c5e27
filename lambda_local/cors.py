"""The CORS configuration of a Function URL: it answers preflights and adds to every answer. No I/O.

Without a configuration nothing here runs, and an OPTIONS request reaches the function like any other.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lambda_local.event import HttpRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """Field by field what `AWS::Lambda::Url` calls `Cors`."""

    allow_origins: tuple[str, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    allow_credentials: bool = False
    max_age: int | None = None


PROPERTIES = {
    "AllowOrigins": "allow_origins",
    "AllowMethods": "allow_methods",
    "AllowHeaders": "allow_headers",
    "ExposeHeaders": "expose_headers",
    "AllowCredentials": "allow_credentials",
    "MaxAge": "max_age",
}


def read_cors(source: str) -> Cors:
    """From JSON, or from a file that holds it. Raises ValueError that lists the properties."""
    text = source if source.lstrip().startswith("{") else Path(source).read_text(encoding="utf-8")
    properties = json.loads(text)
    unknown = sorted(set(properties) - set(PROPERTIES))
    if unknown:
        raise ValueError(f"not a CORS property: {', '.join(unknown)}; known: {', '.join(PROPERTIES)}")
    values: dict[str, Any] = {
        PROPERTIES[name]: tuple(value) if isinstance(value, list) else value for name, value in properties.items()
    }
    return Cors(**values)


def is_preflight(request: HttpRequest) -> bool:
    """An OPTIONS request that a browser sends before the real one."""
    asks = request.header("access-control-request-method")
    return request.method == "OPTIONS" and asks is not None and request.header("origin") is not None


def preflight_headers(cors: Cors, request: HttpRequest) -> dict[str, str]:
    """Headers of the answer to a preflight; none where the origin is not allowed."""
    headers = _origin_headers(cors, request)
    if headers:
        if cors.allow_methods:
            headers["access-control-allow-methods"] = ",".join(cors.allow_methods)
        if cors.allow_headers:
            headers["access-control-allow-headers"] = ",".join(cors.allow_headers)
        if cors.max_age is not None:
            headers["access-control-max-age"] = str(cors.max_age)
    return headers


def with_cors(cors: Cors, request: HttpRequest, headers: Mapping[str, str]) -> dict[str, str]:
    """An answer's headers with the configured ones, which take precedence over the function's own."""
    added = _origin_headers(cors, request)
    if added and cors.expose_headers:
        added["access-control-expose-headers"] = ",".join(cors.expose_headers)
    return {**headers, **added}


def _origin_headers(cors: Cors, request: HttpRequest) -> dict[str, str]:
    origin = request.header("origin")
    if origin is None or not ("*" in cors.allow_origins or origin in cors.allow_origins):
        return {}
    headers = {"access-control-allow-origin": origin, "vary": "Origin"}
    if "*" in cors.allow_origins and not cors.allow_credentials:
        headers = {"access-control-allow-origin": "*"}
    if cors.allow_credentials:
        headers["access-control-allow-credentials"] = "true"
    return headers
