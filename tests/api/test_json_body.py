"""Bodies: what is JSON, what only looks like it, and what is not even read."""

from collections.abc import AsyncIterator, Mapping

import pytest

from handler.api.json_body import MAX_DEPTH, check_headers, parse_object, read_body
from handler.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, -2.5e3, "\xc3\xa9", null, true]}', {"a": [1, -2500.0, "é", None, True]}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (rb'{"a": "\ud83d\ude00"}', {"a": "😀"}),
        (b'{"a": "' + b"[" * 5000 + b'\\""}', {"a": "[" * 5000 + '"'}),
        (b'{"a": ' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}", None),
    ],
    ids=["all types", "byte order mark", "surrogate pair", "brackets in a string", "deepest"],
)
def test_reads(body: bytes, value: Mapping[str, object] | None) -> None:
    read = parse_object(body)
    assert value is None or read == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"{", "Expecting property name enclosed in double quotes (line 1, column 2)"),
        (b'{"a": 1} x', "Extra data (line 1, column 10)"),
        (b"[1]", "expected an object, but got an array instead"),
        (b"null", "expected an object, but got null instead"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1e999}', "a number is too large"),
        (b'{"a": 1, "b": {"c": 1, "c": 1}}', "an object holds the same key twice"),
        (b'{"a": ' + b"1" * 41 + b"}", "an integer has more than 40 digits"),
        (b'{"a": ' + b"1" * 5000 + b"}", "an integer has more than 40 digits"),
        (b"[" * 100_000, "it is nested more than 64 levels deep"),
        (b'{"a": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", "it is nested more than 64 levels deep"),
        (b'{"a": "\xff"}', "it is not UTF-8"),
        (rb'{"a": "\ud83d"}', "it holds a lone surrogate"),
        (rb'{"\udc00": 1}', "it holds a lone surrogate"),
        (b'{"a": "\x01"}', "Invalid control character at (line 1, column 8)"),
    ],
)
def test_refuses(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_object(body)
    assert caught.value.message == f"The request body could not be read as JSON: {reason}."
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/json; charset=utf-8"},
        {"content-type": "text/plain"},
        {"content-type": ";;odd"},
        {"content-encoding": "identity", "content-length": "10"},
        {"content-length": "not a number"},
    ],
)
def test_odd_headers_are_no_fault(headers: Mapping[str, str]) -> None:
    check_headers(headers, max_bytes=10)


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"content-type": "multipart/form-data; boundary=x"}, UnsupportedMediaType),
        ({"content-type": "Application/X-WWW-Form-Urlencoded"}, UnsupportedMediaType),
        ({"content-encoding": "gzip"}, UnsupportedMediaType),
        ({"content-length": "11"}, BodyTooLarge),
        ({"content-length": "9" * 5000}, BodyTooLarge),
    ],
)
def test_headers_alone_can_refuse(headers: Mapping[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        check_headers(headers, max_bytes=10)


async def test_a_body_without_a_length_is_counted_as_it_comes() -> None:
    async def chunks(*sizes: int) -> AsyncIterator[bytes]:
        for size in sizes:
            yield b"x" * size

    assert await read_body(chunks(4, 6), max_bytes=10) == b"x" * 10
    with pytest.raises(BodyTooLarge, match="larger than the 10 bytes"):
        await read_body(chunks(4, 7, 1_000_000), max_bytes=10)
