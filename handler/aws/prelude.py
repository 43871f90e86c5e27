"""The first bytes of a streamed answer: status, headers and cookies as JSON, then eight NUL bytes.

Hop-by-hop headers stop here: they speak of a connection that the caller is not on, and a `Transfer-Encoding` passed
on makes empty answers (204, 302, HEAD) hang. Cookies travel apart, since the JSON has one value for each name.
"""

import json
from collections.abc import Iterable

END = b"\0" * 8

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def prelude(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The prelude of an ASGI `http.response.start`; a repeated header becomes one, joined by `, `."""
    single: dict[str, str] = {}
    cookies: list[str] = []
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name == "set-cookie":
            cookies.append(value)
        elif name not in HOP_BY_HOP:
            single[name] = f"{single[name]}, {value}" if name in single else value
    return json.dumps({"statusCode": status, "headers": single, "cookies": cookies}).encode() + END
