"""Objects of an answer: golden bytes, the specification's shapes, and the hot path equal to the plain one."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from handler.api.answers import fold_answer, stream_answer
from handler.api.chunks import Chunks, Envelope, dumps, logprobs_object
from handler.api.record import RequestRecord
from handler.chat.deltas import ChatEvent, Stopped, TextDelta
from handler.engine.events import Finished, Prefilling, SampledToken, TokenLogprob, Usage

GOLDEN = Path(__file__).parent / "golden"
ENVELOPE = Envelope(id="chatcmpl-1", created=1_700_000_000, model="smol", fingerprint="fp_0123456789")
USAGE = Usage(prompt_tokens=5, completion_tokens=3, cached_tokens=4)


def candidate(data: bytes, logprob: float) -> TokenLogprob:
    return TokenLogprob(token_id=0, data=data, logprob=logprob)


# "é" came in two tokens, the first of which has no whole character yet.
SPLIT = (
    SampledToken(chosen=candidate(b"\xc3", -0.5), top=(candidate(b"\xc3", -0.5), candidate(b"x", float("-inf")))),
    SampledToken(chosen=candidate(b"\xa9", 0.0), top=(candidate(b"\xa9", 0.0),)),
)
PLAIN: tuple[ChatEvent, ...] = (
    Prefilling(done=3, total=5),
    Prefilling(done=5, total=5),
    TextDelta(text="Hé"),
    TextDelta(text='"\n'),
    TextDelta(text=""),
    Stopped(reason="stop"),
    Finished(usage=USAGE),
)
WITH_LOGPROBS: tuple[ChatEvent, ...] = (
    TextDelta(text="é", tokens=SPLIT),
    Stopped(reason="length"),
    Finished(usage=USAGE),
)


def record() -> RequestRecord:
    return RequestRecord(request_id="req_1", method="POST", path="/v1/chat/completions")


async def events(items: tuple[ChatEvent, ...]) -> AsyncIterator[ChatEvent]:
    for item in items:
        yield item


async def stream(items: tuple[ChatEvent, ...], *, include_usage: bool) -> bytes:
    return b"".join(
        [chunk async for chunk in stream_answer(events(items), ENVELOPE, record(), include_usage=include_usage)]
    )


@pytest.mark.parametrize(
    ("name", "items", "include_usage"),
    [
        ("plain.sse", PLAIN, False),
        ("usage.sse", PLAIN, True),
        ("logprobs.sse", WITH_LOGPROBS, False),
    ],
)
async def test_a_stream_is_byte_for_byte_the_golden_one(
    name: str, items: tuple[ChatEvent, ...], include_usage: bool
) -> None:
    assert (await stream(items, include_usage=include_usage)).decode() == (GOLDEN / name).read_text()


@pytest.mark.parametrize(
    ("name", "items", "logprobs"), [("plain.json", PLAIN, False), ("logprobs.json", WITH_LOGPROBS, True)]
)
async def test_a_completion_is_the_golden_one(name: str, items: tuple[ChatEvent, ...], logprobs: bool) -> None:
    answer = await fold_answer(events(items), ENVELOPE, record(), logprobs=logprobs)
    assert json.dumps(answer, indent=2, ensure_ascii=False) + "\n" == (GOLDEN / name).read_text()
    ChatCompletion.model_validate(answer, strict=True)


@pytest.mark.parametrize("items", [PLAIN, WITH_LOGPROBS], ids=["plain", "logprobs"])
async def test_every_chunk_is_what_the_official_client_reads(items: tuple[ChatEvent, ...]) -> None:
    lines = (await stream(items, include_usage=True)).decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)
    assert [chunk["usage"] is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert [len(chunk["choices"]) for chunk in chunks] == [1] * (len(chunks) - 1) + [0]


@pytest.mark.parametrize("text", ["a", '"\\/\n\t\x00', "é😀\u2028\x85", "\x7f", "</script>"])
@pytest.mark.parametrize("include_usage", [False, True])
def test_the_hot_path_writes_the_same_bytes_as_the_plain_one(text: str, include_usage: bool) -> None:
    chunks = Chunks(ENVELOPE, include_usage=include_usage)
    assert chunks.text(TextDelta(text=text)) == dumps(chunks.chunk({"content": text}))


def test_a_chunk_holds_no_line_end_of_any_kind() -> None:
    text = Chunks(ENVELOPE, include_usage=False).text(TextDelta(text="a\n\r\x0b\x0c\x1c\x85\u2028\u2029b"))
    assert len(text.splitlines()) == 1


def test_token_bytes_join_to_the_text_and_nothing_is_infinite() -> None:
    content = logprobs_object(SPLIT)["content"]
    assert content == [
        {
            "token": "�",
            "logprob": -0.5,
            "bytes": [0xC3],
            "top_logprobs": [
                {"token": "�", "logprob": -0.5, "bytes": [0xC3]},
                {"token": "x", "logprob": -9999.0, "bytes": [0x78]},
            ],
        },
        {
            "token": "�",
            "logprob": 0.0,
            "bytes": [0xA9],
            "top_logprobs": [{"token": "�", "logprob": 0.0, "bytes": [0xA9]}],
        },
    ]


async def test_no_tokens_at_all_is_still_an_answer() -> None:
    items: tuple[ChatEvent, ...] = (
        Stopped(reason="stop"),
        Finished(usage=Usage(prompt_tokens=1, completion_tokens=1)),
    )
    answer = await fold_answer(events(items), ENVELOPE, record(), logprobs=True)
    assert answer is not None
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "", "refusal": None},
            "logprobs": {"content": [], "refusal": None},
            "finish_reason": "stop",
        }
    ]
