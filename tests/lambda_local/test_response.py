"""A buffered answer, read as a Function URL reads it."""

import pytest

from lambda_local.prelude import Prelude, PreludeError
from lambda_local.response import read_response

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"a": 1}', (Prelude(headers=JSON), b'{"a": 1}')),
        (b'"hello"', (Prelude(headers=JSON), b'"hello"')),
        (
            b'{"statusCode": 201, "headers": {"X-A": "1"}, "body": "hi", "cookies": ["a=1"]}',
            (Prelude(status=201, headers={**JSON, "x-a": "1", "content-length": "2"}, cookies=("a=1",)), b"hi"),
        ),
        (
            b'{"statusCode": 200, "headers": {"Content-Type": "image/png"}, "body": "aGk=", "isBase64Encoded": true}',
            (Prelude(headers={"content-type": "image/png", "content-length": "2"}), b"hi"),
        ),
        (b'{"statusCode": 204}', (Prelude(status=204, headers=JSON), b"")),
        (b'{"statusCode": 200, "body": {"a": 1}}', (Prelude(headers={**JSON, "content-length": "8"}), b'{"a": 1}')),
    ],
)
def test_read(payload: bytes, expected: tuple[Prelude, bytes]) -> None:
    assert read_response(payload) == expected


@pytest.mark.parametrize(
    "payload", [b"not json", b'{"statusCode": "x"}', b'{"statusCode": 200, "body": "!", "isBase64Encoded": true}']
)
def test_what_is_no_answer(payload: bytes) -> None:
    with pytest.raises(PreludeError):
        read_response(payload)
