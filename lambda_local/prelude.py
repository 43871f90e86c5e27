"""Where a streamed Lambda answer stops being JSON and starts being the body. No I/O.

A streaming runtime sends `{"statusCode", "headers", "cookies"}` as JSON, eight NUL bytes, then the raw body. Chunks may
be cut anywhere, inside the NUL bytes too.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

SEPARATOR = b"\0" * 8


class PreludeError(ValueError):
    """The runtime's fault: what came before the separator is not a prelude, or there was no separator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prelude:
    """Status line and headers of one HTTP answer, as a function writes them."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()


def read_prelude(text: bytes | str) -> Prelude:
    """Parse the JSON before the separator. Raises PreludeError."""
    try:
        fields = json.loads(text)
    except ValueError:
        raise PreludeError("the prelude is not JSON") from None
    if not isinstance(fields, dict):
        raise PreludeError("the prelude is not a JSON object")
    return prelude_from(fields)


def prelude_from(fields: Mapping[str, object]) -> Prelude:
    """`statusCode`, `headers` and `cookies` of a function's answer. Raises PreludeError for a wrong type."""
    status = fields.get("statusCode", 200)
    headers = fields.get("headers") or {}
    cookies = fields.get("cookies") or []
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise PreludeError("statusCode must be an integer from 200 to 599")
    if not isinstance(headers, dict):
        raise PreludeError("headers must be an object")
    if not isinstance(cookies, list):
        raise PreludeError("cookies must be an array")
    return Prelude(
        status=status,
        headers={str(name).lower(): _text(value) for name, value in headers.items()},
        cookies=tuple(str(cookie) for cookie in cookies),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class PreludeParser:
    """Incremental: `decode(chunk)` returns the part of the chunk that is body; `prelude` is set once it is whole."""

    def __init__(self) -> None:
        self.prelude: Prelude | None = None
        self._head = bytearray()

    def decode(self, data: bytes) -> bytes:
        """Body bytes in `data`, perhaps none. Raises PreludeError."""
        if self.prelude is not None:
            return data
        # The separator may straddle the border: look again at the last seven bytes.
        seen = max(0, len(self._head) - len(SEPARATOR) + 1)
        self._head += data
        end = self._head.find(SEPARATOR, seen)
        if end < 0:
            return b""
        self.prelude = read_prelude(bytes(self._head[:end]))
        body = bytes(self._head[end + len(SEPARATOR) :])
        self._head.clear()
        return body

    def flush(self) -> Prelude:
        """End of the stream: its prelude. Raises PreludeError where that never ended."""
        if self.prelude is None:
            raise PreludeError("the stream ended before the prelude's eight NUL bytes")
        return self.prelude
