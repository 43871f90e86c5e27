"""The prelude and the body of a streamed answer, however they were cut."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_local.prelude import Prelude, PreludeError, PreludeParser, read_prelude

HEAD = {"statusCode": 201, "headers": {"Content-Type": "text/event-stream"}, "cookies": ["a=1"]}
PRELUDE = Prelude(status=201, headers={"content-type": "text/event-stream"}, cookies=("a=1",))
BODY = b"\0data: \0\0\0\0\0\0\0\0 more"
STREAM = json.dumps(HEAD).encode() + b"\0" * 8 + BODY


def parse(chunks: list[bytes]) -> tuple[Prelude | None, bytes]:
    parser = PreludeParser()
    body = b"".join(parser.decode(chunk) for chunk in chunks)
    return parser.flush(), body


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_split_at_each_byte(cut: int) -> None:
    assert parse([STREAM[:cut], STREAM[cut:]]) == (PRELUDE, BODY)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_split_anywhere(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert parse([STREAM[a:b] for a, b in pairwise(edges)]) == (PRELUDE, BODY)


def test_byte_by_byte() -> None:
    assert parse([bytes([byte]) for byte in STREAM]) == (PRELUDE, BODY)


def test_an_end_before_the_separator_is_an_error() -> None:
    parser = PreludeParser()
    assert parser.decode(b'{"statusCode": 200}' + b"\0" * 7) == b""
    with pytest.raises(PreludeError, match="eight NUL bytes"):
        parser.flush()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"statusCode": "200"}',
        '{"statusCode": 99}',
        '{"statusCode": true}',
        '{"headers": [1]}',
        '{"cookies": {"a": 1}}',
    ],
)
def test_what_is_not_a_prelude(text: str) -> None:
    with pytest.raises(PreludeError):
        read_prelude(text)


def test_absent_fields_have_defaults_and_numbers_become_text() -> None:
    assert read_prelude('{"headers": {"X-A": 1}, "cookies": null}') == Prelude(headers={"x-a": "1"})
