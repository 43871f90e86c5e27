"""Request bodies: bytes in, a JSON object out. Strict where `json.loads` is not, and clear about what is wrong.

Not JSON: NaN and infinities, numbers that overflow to infinity, duplicate keys, integers of more than 40 digits,
nesting deeper than 64, lone surrogates (no UTF-8 answer could quote them), and bytes that are not UTF-8.
"""

import json
import math
import re
from collections.abc import AsyncIterator, Mapping

from handler.api.values import Json, JsonObject, kind
from handler.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType

MAX_DEPTH = 64
MAX_INTEGER_DIGITS = 40
# The closing quote is optional so that an unterminated string costs one pass, not one per quote.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{\]}]', re.DOTALL)
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


class _Rejected(ValueError):
    """Why a value is not acceptable JSON; its text is shown to the caller and holds nothing of the body."""


def check_headers(headers: Mapping[str, str], max_bytes: int) -> None:
    """Refuses by the headers alone, before a byte is read: forms and encodings are 415, too large is 413.

    `headers` has lower-case names. A missing or odd Content-Type is no fault: the body is read as JSON all the same.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in FORMS:
        raise UnsupportedMediaType(
            f"Unsupported content type {media_type}: send the request as JSON (Content-Type: application/json)."
        )
    if headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType("Unsupported content encoding: send the request body uncompressed.")
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > max_bytes):
        raise _too_large(max_bytes)


async def read_body(chunks: AsyncIterator[bytes], max_bytes: int) -> bytes:
    """The whole body, never holding more than `max_bytes`. Raises BodyTooLarge."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(body)


def parse_object(body: bytes) -> JsonObject:
    """The JSON object in `body`. Raises InvalidRequest (`invalid_json`)."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _invalid("it is not UTF-8") from None
    if not text.strip():
        raise _invalid("it is empty")
    try:
        value = parse_text(text)
    except ValueError as error:
        raise _invalid(str(error)) from None
    if not isinstance(value, dict):
        raise _invalid(f"expected an object, but got {kind(value)} instead")
    return value


def parse_text(text: str) -> Json:
    """The JSON value in `text`. Raises ValueError; its message says why, and holds nothing of the text."""
    try:
        _check_depth(text)
        value: Json = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
        )
        # Escapes are the only way for a surrogate to get in, so most texts skip this.
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise _Rejected(f"{error.msg} (line {error.lineno}, column {error.colno})") from None
    except UnicodeEncodeError:
        raise _Rejected("it holds a lone surrogate") from None
    return value


def _invalid(reason: str) -> InvalidRequest:
    return InvalidRequest(f"The request body could not be read as JSON: {reason}.", code="invalid_json")


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The request body is larger than the {max_bytes} bytes that this server reads.")


def _check_depth(text: str) -> None:
    # Before parsing: the parser recurses, and a body of brackets alone would exhaust its stack.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        first = match[0][0]
        depth += (first in "[{") - (first in "]}")
        if depth > MAX_DEPTH:
            raise _Rejected(f"it is nested more than {MAX_DEPTH} levels deep")


def _object(pairs: list[tuple[str, Json]]) -> JsonObject:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _Rejected("an object holds the same key twice")
    return result


def _integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise _Rejected(f"an integer has more than {MAX_INTEGER_DIGITS} digits")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _Rejected("a number is too large")
    return value


def _constant(name: str) -> float:
    raise _Rejected(f"{name} is not JSON")
