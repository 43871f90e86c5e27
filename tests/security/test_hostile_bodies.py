"""Bodies that are made to hurt: deep, huge, compressed, half a character. Each is answered, and names its fault."""

import gzip
import json
import zlib

import httpx
import pytest

from handler.errors import EndpointError
from tests.api.conftest import make_app
from tests.security.sources import SOURCES, answer

CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}]}
SIZE = 1_000_000
BODIES = {
    "brackets": (b"[" * SIZE, "nested more than 64 levels"),
    "objects": (b'{"a":' * (SIZE // 5), "nested more than 64 levels"),
    "deep in a field": (json.dumps(CHAT).encode()[:-1] + b', "user": ' + b"[" * 100 + b"]" * 100 + b"}", "nested"),
    "unclosed strings": (b"[" * 65 + b'"\\' * (SIZE // 2), "nested more than 64 levels"),
    "an endless integer": (b'{"seed": ' + b"9" * SIZE + b"}", "an integer has more than 40 digits"),
    "an endless fraction": (b'{"seed": 0.' + b"1" * SIZE + b"}", "you must provide a model"),
    "a number too large": (b'{"temperature": 1e999999}', "a number is too large"),
    "an endless exponent": (b'{"temperature": 1e' + b"9" * SIZE + b"}", "a number is too large"),
    "NaN": (b'{"temperature": NaN}', "NaN is not JSON"),
    "infinity": (b'{"temperature": -Infinity}', "-Infinity is not JSON"),
    "one key twice": (b'{"model": "fake-model", "model": "other"}', "the same key twice"),
    "one key twice, deep": (b'{"metadata": {"a": "1", "\\u0061": "2"}}', "the same key twice"),
    "a lone surrogate": (b'{"model": "\\ud800"}', "a lone surrogate"),
    "bytes that are no UTF-8": (b'{"model": "\xff"}', "not UTF-8"),
    "an overlong form": (b'{"model": "\xc0\xaf"}', "not UTF-8"),
    "a surrogate in bytes": (b'{"model": "\xed\xa0\x80"}', "not UTF-8"),
    "UTF-16": (json.dumps(CHAT).encode("utf-16"), "not UTF-8"),
    "a NUL": (b'{"model": "fake-model\0"}', "could not be read as JSON"),
    "a comment": (b'{"model": "fake-model" /* hi */}', "could not be read as JSON"),
    "two values": (b"{}{}", "could not be read as JSON"),
    "an array": (b"[]", "expected an object"),
    "nothing": (b"", "it is empty"),
    "gzip without saying so": (gzip.compress(b"{}"), "not UTF-8"),
}


@pytest.mark.parametrize(("body", "reason"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/tokenize"])
async def test_what_is_wrong_with_a_body_is_said(
    path: str, body: bytes, reason: str, client: httpx.AsyncClient
) -> None:
    answered = await client.post(path, content=body, headers={"content-type": "application/json"})
    assert answered.status_code == 400
    if "provide" not in reason:
        assert reason in answered.json()["error"]["message"]


async def test_a_byte_order_mark_is_harmless(client: httpx.AsyncClient) -> None:
    body = b"\xef\xbb\xbf" + json.dumps(CHAT).encode()
    assert (await client.post("/v1/chat/completions", content=body)).status_code == 200


BOMB = b"\0" * 20_000_000
COMPRESSED = {
    "gzip": gzip.compress(BOMB),
    "deflate": zlib.compress(BOMB),
    "br": b"\x8b\x00\x80",
    "zstd": b"\x28\xb5\x2f\xfd",
    "gzip, gzip": gzip.compress(gzip.compress(BOMB)),
    "GZIP": gzip.compress(b"{}"),
    "x-gzip": gzip.compress(b"{}"),
    "identity, gzip": gzip.compress(b"{}"),
}


@pytest.mark.parametrize(("encoding", "body"), COMPRESSED.items(), ids=COMPRESSED)
async def test_a_compressed_body_is_refused_by_its_header_and_never_unpacked(
    encoding: str, body: bytes, client: httpx.AsyncClient
) -> None:
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/tokenize"):
        answered = await client.post(path, content=body, headers={"content-encoding": encoding})
        assert answered.status_code == 415
        assert "uncompressed" in answered.json()["error"]["message"]


@pytest.mark.parametrize("source", SOURCES)
async def test_the_same_through_events(source: str) -> None:
    app = make_app()
    headers = [("content-encoding", "gzip"), ("content-type", "application/json")]
    for given, status in ((headers, 415), (headers[1:], 400)):
        got = await answer(app, SOURCES[source]("POST", "/v1/chat/completions", given, "H4sIAAAAAAAC/w=="))
        assert not isinstance(got, EndpointError)
        assert got["statusCode"] == status
    for body, reason in (BODIES["brackets"], BODIES["an endless integer"]):
        got = await answer(app, SOURCES[source]("POST", "/v1/chat/completions", headers[1:], body.decode()))
        assert not isinstance(got, EndpointError)
        assert reason in got["body"]


async def test_a_body_is_never_read_beyond_its_limit(client: httpx.AsyncClient) -> None:
    read = 0

    async def endless():
        nonlocal read
        while True:
            read += 65_536
            yield b" " * 65_536

    answered = await client.post("/v1/chat/completions", content=endless())
    assert answered.status_code == 413
    assert read <= 6 * 1024 * 1024 + 2 * 65_536
