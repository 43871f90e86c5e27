"""Objects of an answer: golden bytes, the specification's shapes, and the hot path equal to the plain one."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from handler.api.answers import fold_answer, stream_answer
from handler.api.chunks import AnswerForm, Chunks, Envelope, dumps, logprobs_object
from handler.api.values import JsonObject
from handler.chat.deltas import ChatEvent, ReasoningDelta, Stopped, TextDelta, ToolCallArguments, ToolCallStart
from handler.engine.events import Finished, SampledToken, TokenLogprob, Usage
from handler.record import RequestRecord

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


TOOLS: tuple[ChatEvent, ...] = (
    ReasoningDelta(text="hm"),
    ReasoningDelta(text="m"),
    TextDelta(text="Let me see."),
    ToolCallStart(call=0, id="call_a", name="f"),
    ToolCallArguments(call=0, text=""),
    ToolCallArguments(call=0, text='{"x":'),
    ToolCallArguments(call=0, text="1}"),
    ToolCallStart(call=1, id="call_b", name="g"),
    ToolCallArguments(call=1, text="{}"),
    Stopped(reason="tool_calls"),
    Finished(usage=Usage(prompt_tokens=5, completion_tokens=9, reasoning_tokens=2)),
)
FUNCTION: tuple[ChatEvent, ...] = (
    ToolCallStart(call=0, id="call_a", name="f"),
    ToolCallArguments(call=0, text='{"x":'),
    ToolCallArguments(call=0, text="1}"),
    Stopped(reason="tool_calls"),
    Finished(usage=USAGE),
)
# Two choices take turns; the second ends first.
TWO: tuple[ChatEvent, ...] = (
    TextDelta(text="a", choice=0),
    TextDelta(text="x", choice=1),
    TextDelta(text="b", choice=0),
    Stopped(reason="stop", choice=1),
    TextDelta(text="c", choice=0),
    Stopped(reason="length", choice=0),
    Finished(usage=USAGE),
)
WITH_USAGE = AnswerForm(include_usage=True)
SCENES: dict[str, tuple[tuple[ChatEvent, ...], AnswerForm]] = {
    "plain": (PLAIN, AnswerForm()),
    "usage": (PLAIN, WITH_USAGE),
    "logprobs": (WITH_LOGPROBS, AnswerForm(logprobs=True)),
    "tools": (TOOLS, WITH_USAGE),
    "function": (FUNCTION, AnswerForm(legacy_functions=True)),
    "two": (TWO, AnswerForm(choices=2, include_usage=True)),
}


def record() -> RequestRecord:
    return RequestRecord(request_id="req_1", method="POST", path="/v1/chat/completions")


async def events(items: tuple[ChatEvent, ...], burst: int = 1) -> AsyncIterator[Sequence[ChatEvent]]:
    for start in range(0, len(items), burst):
        yield items[start : start + burst]


async def stream(name: str, burst: int = 1) -> str:
    items, form = SCENES[name]
    answer = stream_answer(events(items, burst), ENVELOPE, record(), form)
    return b"".join([chunk async for chunk in answer]).decode()


async def fold(name: str) -> JsonObject:
    items, form = SCENES[name]
    answer = await fold_answer(events(items), ENVELOPE, record(), form)
    assert answer is not None
    return answer


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("burst", [1, 2, 100])
async def test_a_stream_is_byte_for_byte_the_golden_one(name: str, burst: int) -> None:
    assert await stream(name, burst) == (GOLDEN / f"{name}.sse").read_text()


async def test_an_answer_is_not_over_with_its_first_choice() -> None:
    ends = (Stopped(choice=0, reason="stop"), TextDelta(choice=1, text="more"), Stopped(choice=1, reason="length"))
    noted = record()
    answer = stream_answer(events((*ends, Finished(usage=USAGE))), ENVELOPE, noted, AnswerForm(choices=2))
    over = [noted.complete async for _ in answer]
    assert over == [False, False, False, False, True]


@pytest.mark.parametrize("name", SCENES)
async def test_a_completion_is_the_golden_one(name: str) -> None:
    answer = await fold(name)
    assert json.dumps(answer, indent=2, ensure_ascii=False) + "\n" == (GOLDEN / f"{name}.json").read_text()
    ChatCompletion.model_validate(answer, strict=True)


@pytest.mark.parametrize("name", SCENES)
async def test_the_official_client_folds_a_stream_to_the_same_answer(name: str) -> None:
    lines = (await stream(name)).split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for line in lines[:-2]:
        chunk = ChatCompletionChunk.model_validate_json(line.removeprefix("data: "), strict=True)
        state.handle_chunk(chunk)
    folded = state.current_completion_snapshot.model_dump(exclude_none=True)
    whole = ChatCompletion.model_validate(await fold(name)).model_dump(exclude_none=True)
    for one, other in zip(folded["choices"], whole["choices"], strict=True):
        for call in one["message"].get("tool_calls", []):
            del call["index"]
            call["function"].pop("parsed_arguments", None)
        # A stream opens with an empty text before it knows that none will come.
        assert (one["message"].pop("content") or None) == (other["message"].pop("content", None) or None)
        assert one["message"] == other["message"]
        assert (one["index"], one["finish_reason"]) == (other["index"], other["finish_reason"])


@pytest.mark.parametrize("name", [name for name, (_, form) in SCENES.items() if form.include_usage])
async def test_usage_is_told_once_and_last(name: str) -> None:
    chunks = [json.loads(line.removeprefix("data: ")) for line in (await stream(name)).split("\n\n")[:-2]]
    assert [chunk["usage"] is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert [len(chunk["choices"]) for chunk in chunks] == [1] * (len(chunks) - 1) + [0]


@pytest.mark.parametrize("text", ["a", '"\\/\n\t\x00', "é😀\u2028\x85", "\x7f", "</script>"])
@pytest.mark.parametrize("form", [AnswerForm(), WITH_USAGE], ids=["plain", "usage"])
def test_the_hot_path_writes_the_same_bytes_as_the_plain_one(text: str, form: AnswerForm) -> None:
    chunks = Chunks(ENVELOPE, form)
    for _ in range(2):  # cut, then cut already
        assert chunks.text(TextDelta(text=text)) == dumps(chunks.chunk(0, {"content": text}))
        assert chunks.reasoning(ReasoningDelta(text=text, choice=1)) == dumps(
            chunks.chunk(1, {"reasoning_content": text})
        )
        for call in (0, 1):
            delta: JsonObject = {"tool_calls": [{"index": call, "function": {"arguments": text}}]}
            assert chunks.arguments(ToolCallArguments(call=call, text=text)) == dumps(chunks.chunk(0, delta))


def test_a_chunk_holds_no_line_end_of_any_kind() -> None:
    text = Chunks(ENVELOPE, AnswerForm()).text(TextDelta(text="a\n\r\x0b\x0c\x1c\x85\u2028\u2029b"))
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
    answer = await fold_answer(events(items), ENVELOPE, record(), AnswerForm(logprobs=True))
    assert answer is not None
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "", "refusal": None},
            "logprobs": {"content": [], "refusal": None},
            "finish_reason": "stop",
        }
    ]
