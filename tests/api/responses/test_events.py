"""The events of a response: golden bytes, the official client's shapes, and the last event equal to the whole."""

import itertools
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from handler.api.responses.answers import fold_response, named_events, stream_response
from handler.api.responses.events import ResponseEvents
from handler.api.responses.objects import Head
from handler.api.responses.request import read_responses_request
from handler.api.values import JsonObject
from handler.chat.deltas import (
    ChatEvent,
    ReasoningDelta,
    Stopped,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from handler.engine.events import Finished, SampledToken, TokenLogprob, Usage
from handler.errors import ServerFault
from handler.record import RequestRecord
from tests.contract.bodies import event_faults, faults

GOLDEN = Path(__file__).parent / "golden"
FINISHED = Finished(usage=Usage(prompt_tokens=5, completion_tokens=3, cached_tokens=4))
THOUGHT = Finished(usage=Usage(prompt_tokens=5, completion_tokens=9, reasoning_tokens=2))


def candidate(data: bytes, logprob: float) -> TokenLogprob:
    return TokenLogprob(token_id=0, data=data, logprob=logprob)


# "é" came in two tokens, the first of which has no whole character yet.
SPLIT = (
    SampledToken(chosen=candidate(b"\xc3", -0.5), top=(candidate(b"\xc3", -0.5), candidate(b"x", float("-inf")))),
    SampledToken(chosen=candidate(b"\xa9", 0.0), top=(candidate(b"\xa9", 0.0),)),
)
WEATHER = (
    ToolCallStart(call=0, id="call_a", name="get_weather"),
    ToolCallArguments(call=0, text='{"city":'),
    ToolCallArguments(call=0, text=""),
    ToolCallArguments(call=0, text='"Paris"}'),
)
ANSWERS: dict[str, tuple[ChatEvent, ...]] = {
    "plain": (
        TextDelta(text="Hé"),
        TextDelta(text=""),
        TextDelta(text='"\n'),
        Stopped(reason="stop"),
        FINISHED,
    ),
    "logprobs": (TextDelta(text="é", tokens=SPLIT), Stopped(reason="length"), FINISHED),
    "calls": (
        TextDelta(text="I look."),
        *WEATHER,
        ToolCallStart(call=1, id="call_b", name="get_time"),
        ToolCallArguments(call=1, text="{}"),
        Stopped(reason="tool_calls"),
        FINISHED,
    ),
    "reasoning": (
        ReasoningDelta(text="Hm"),
        ReasoningDelta(text="m."),
        TextDelta(text="Yes."),
        Stopped(reason="stop"),
        THOUGHT,
    ),
    "empty": (Stopped(reason="stop"), FINISHED),
    "cut-call": (*WEATHER[:2], Stopped(reason="length"), FINISHED),
    "cut-thought": (ReasoningDelta(text="Hm"), Stopped(reason="length"), THOUGHT),
    "cut-at-once": (Stopped(reason="length"), FINISHED),
}


def record() -> RequestRecord:
    return RequestRecord(request_id="req_1", method="POST", path="/v1/responses")


def response() -> ResponseEvents:
    asked = read_responses_request({"model": "smol", "input": "hi", "metadata": {"a": "b"}}).repeated
    numbers = itertools.count(1)
    head = Head(id="resp_1", created_at=1_700_000_000, asked=asked)
    return ResponseEvents(head, new_id=lambda prefix: f"{prefix}_{next(numbers)}", clock=lambda: 1_700_000_001.5)


async def events(items: tuple[ChatEvent, ...], burst: int = 1) -> AsyncIterator[Sequence[ChatEvent]]:
    for start in range(0, len(items), burst):
        yield items[start : start + burst]


async def stream(items: tuple[ChatEvent, ...]) -> str:
    return b"".join([sent async for sent in stream_response(events(items), response(), record())]).decode()


def parsed(sse: str) -> list[JsonObject]:
    """The events' data; each must be named by its type."""
    read: list[JsonObject] = []
    for lines in sse.removesuffix("\n\n").split("\n\n"):
        name, data = lines.split("\n")
        read.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {read[-1]['type']}"
    return read


@pytest.mark.parametrize("name", ["plain", "logprobs", "calls", "reasoning"])
async def test_a_stream_is_byte_for_byte_the_golden_one(name: str) -> None:
    assert await stream(ANSWERS[name]) == (GOLDEN / f"{name}.sse").read_text()


@pytest.mark.parametrize("name", ANSWERS)
async def test_every_event_is_what_the_specification_and_the_official_client_say(name: str) -> None:
    sent = parsed(await stream(ANSWERS[name]))
    assert [fault for item in sent for fault in event_faults("POST", "/v1/responses", item)] == []
    assert [item["sequence_number"] for item in sent] == list(range(len(sent)))
    assert [item["type"] for item in sent[:2]] == ["response.created", "response.in_progress"]
    assert sent[-1]["type"] in ("response.completed", "response.incomplete")


@pytest.mark.parametrize("name", ANSWERS)
async def test_the_whole_is_what_the_last_event_holds(name: str) -> None:
    whole = await fold_response(events(ANSWERS[name]), response(), record())
    sent = parsed(await stream(ANSWERS[name]))
    assert whole == sent[-1]["response"]
    assert faults("POST", "/v1/responses", 200, "application/json", json.dumps(whole).encode()) == []
    assert whole["output"] == [item["item"] for item in sent if item["type"] == "response.output_item.done"]


@pytest.mark.parametrize("name", ANSWERS)
async def test_deltas_join_to_what_is_done(name: str) -> None:
    sent = parsed(await stream(ANSWERS[name]))
    joined: dict[object, str] = {}
    for item in sent:
        if str(item["type"]).endswith(".delta"):
            joined[item["item_id"]] = joined.get(item["item_id"], "") + str(item["delta"])
        for key in ("text", "arguments"):
            if key in item:
                assert item[key] == joined.get(item["item_id"], "")


def message(text: str, status: str, number: int = 1) -> JsonObject:
    part: JsonObject = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"id": f"msg_{number}", "type": "message", "status": status, "role": "assistant", "content": [part]}


def reasoning(text: str, status: str) -> JsonObject:
    part: JsonObject = {"type": "reasoning_text", "text": text}
    return {"id": "rs_1", "type": "reasoning", "status": status, "summary": [], "content": [part]}


def call(number: int, call_id: str, name: str, arguments: str, status: str = "completed") -> JsonObject:
    return {
        "id": f"fc_{number}",
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


@pytest.mark.parametrize(
    ("name", "status", "output"),
    [
        ("plain", "completed", [message('Hé"\n', "completed")]),
        (
            "calls",
            "completed",
            [
                message("I look.", "completed"),
                call(2, "call_a", "get_weather", '{"city":"Paris"}'),
                call(3, "call_b", "get_time", "{}"),
            ],
        ),
        ("reasoning", "completed", [reasoning("Hmm.", "completed"), message("Yes.", "completed", 2)]),
        ("empty", "completed", [message("", "completed")]),
        ("cut-call", "incomplete", [call(1, "call_a", "get_weather", '{"city":', "incomplete")]),
        ("cut-thought", "incomplete", [reasoning("Hm", "incomplete")]),
        ("cut-at-once", "incomplete", [message("", "incomplete")]),
    ],
)
async def test_what_an_answer_becomes(name: str, status: str, output: list[JsonObject]) -> None:
    whole = await fold_response(events(ANSWERS[name]), response(), record())
    assert whole is not None
    assert (whole["status"], whole["output"]) == (status, output)
    assert whole["incomplete_details"] == ({"reason": "max_output_tokens"} if status == "incomplete" else None)
    assert whole["completed_at"] == (1_700_000_001 if status == "completed" else None)


async def test_a_response_repeats_the_request_and_says_what_is_not_stored() -> None:
    whole = await fold_response(events(ANSWERS["reasoning"]), response(), record())
    assert whole is not None
    del whole["output"]
    assert whole == {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "completed_at": 1_700_000_001,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "smol",
        "instructions": None,
        "max_output_tokens": None,
        "temperature": 1.0,
        "top_p": 1.0,
        "top_logprobs": 0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "reasoning": {"effort": None, "summary": None},
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "metadata": {"a": "b"},
        "background": False,
        "max_tool_calls": None,
        "previous_response_id": None,
        "service_tier": "default",
        "store": False,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 5,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 9,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 14,
        },
    }


async def test_events_that_end_early_are_no_answer() -> None:
    assert await fold_response(events(ANSWERS["plain"][:3]), response(), record()) is None


def test_a_failure_is_told_twice_and_keeps_what_was_said() -> None:
    answer = response()
    told = [*answer.start(), *answer.add(TextDelta(text="Hé")), *answer.fail(ServerFault("Broken."))]
    assert named_events(told).decode() == (GOLDEN / "failed.sse").read_text()
    assert [fault for item in told for fault in event_faults("POST", "/v1/responses", item)] == []
    failed = told[-1]["response"]
    assert isinstance(failed, dict)
    assert (failed["status"], failed["error"]) == ("failed", {"code": "server_error", "message": "Broken."})
    assert failed["output"] == [message("Hé", "incomplete")]
