"""The id of the trace that a request belongs to, from what its caller or Lambda sent. Pure.

Only what has the form of an id is taken: a header is the caller's, and what it says would go into the log.
"""

import re

_XRAY = re.compile(r"(?:^|;)\s*Root=(1-[0-9a-f]{8}-[0-9a-f]{24})\s*(?:;|$)", re.IGNORECASE)
# W3C Trace Context: version, trace id, parent id, flags.
_W3C = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?", re.ASCII)
_NO_TRACE = "0" * 32


def xray_trace_id(header: str | None) -> str | None:
    """The root in X-Ray's header (`x-amzn-trace-id`, `Lambda-Runtime-Trace-Id`): `1-`, 8 digits, `-`, 24 digits."""
    found = _XRAY.search(header) if header else None
    return found[1].lower() if found else None


def w3c_trace_id(header: str | None) -> str | None:
    """The trace id in a `traceparent`, 32 hexadecimal digits."""
    found = _W3C.fullmatch(header.strip()) if header else None
    return found[1] if found and found[1] != _NO_TRACE else None
