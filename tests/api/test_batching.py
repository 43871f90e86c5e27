"""The engine thread with answers that have Steps: shared calls, back-pressure, ends and failures."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from handler.api.stepping import LOOKAHEAD, EngineThread, Stream
from handler.engine.decode import generate
from handler.engine.events import Delta, Event
from handler.engine.params import GenerationParams
from handler.engine.ports import KVSession
from handler.engine.step import Feed, Step
from tests.engine.test_decode import ENDS, PROMPT, PrefixDecoder
from tests.fakes import FakeTokenizer, told

LONG = GenerationParams(temperature=1, seed=1, ignore_eos=True, max_tokens=30)


@dataclass
class Gated(PrefixDecoder):
    """Nothing advances before `go` is set. `shared` tells how many sequences each call for several had."""

    go: threading.Event = field(default_factory=threading.Event)
    shared: list[int] = field(default_factory=list)

    def open(self) -> KVSession:
        self.go.wait()
        return super().open()

    def advance(self, sessions: Sequence[KVSession], token_ids: Sequence[int]) -> NDArray[np.float32]:
        self.shared.append(len(sessions))
        return super().advance(sessions, token_ids)


def answer(decoder: PrefixDecoder, params: GenerationParams) -> Iterator[Event]:
    return generate(decoder, FakeTokenizer(), PROMPT, params, ENDS, should_stop=lambda: False)


async def items(stream: Stream[Event]) -> list[Event]:
    return [event async for burst in stream for event in burst]


@pytest.mark.parametrize("batching", [True, False])
async def test_answers_share_calls_if_they_may_and_are_what_they_are_alone(batching: bool) -> None:
    decoder, engine = Gated(), EngineThread(batching=batching)
    asked = [replace(LONG, temperature=0, seed=None, max_tokens=26 + more) for more in range(4)]  # a seed keeps apart
    streams = [engine.stream(lambda params=params: answer(decoder, params)) for params in asked]
    decoder.go.set()
    found = await asyncio.gather(*map(items, streams))
    assert found == [told(answer(PrefixDecoder(), params)) for params in asked]
    assert (4 in decoder.shared) is batching
    engine.close()


async def test_one_request_shares_steps_among_its_choices_even_where_answers_take_turns() -> None:
    decoder, engine = Gated(), EngineThread(batching=False)
    decoder.go.set()
    found = await items(engine.stream(lambda: answer(decoder, replace(LONG, n=3))))
    assert found == told(answer(PrefixDecoder(), replace(LONG, n=3)))
    assert decoder.shared == [3] * 29
    engine.close()


async def test_what_a_step_gives_comes_at_once() -> None:
    engine = EngineThread()
    bursts = [burst async for burst in engine.stream(lambda: answer(PrefixDecoder(), replace(LONG, n=3, max_tokens=5)))]
    assert [len(burst) for burst in bursts] == [3, 3, 3, 3, 7]  # at last with the ends of the choices and of the answer
    engine.close()


async def test_a_reader_that_falls_behind_stops_its_own_answer_only() -> None:
    decoder, engine = PrefixDecoder(), EngineThread()
    stepped = []

    def watched() -> Iterator[Event]:
        for event in answer(decoder, replace(LONG, n=2)):
            stepped.append(event)
            yield event

    idle = engine.stream(watched)
    assert await items(engine.stream(lambda: answer(decoder, LONG))) == told(answer(PrefixDecoder(), LONG))
    assert sum(isinstance(event, Delta) for event in stepped) == LOOKAHEAD * 2  # a token of each choice in each step
    assert await items(idle) == told(answer(PrefixDecoder(), replace(LONG, n=2)))
    engine.close()


async def test_one_that_is_cancelled_leaves_the_others_untouched_and_its_memory_free() -> None:
    decoder, engine = PrefixDecoder(), EngineThread()
    leaving = engine.stream(lambda: answer(decoder, replace(LONG, max_tokens=None)))
    staying = engine.stream(lambda: answer(decoder, LONG))
    seen = await anext(staying)
    first = await anext(leaving)
    leaving.cancel()
    assert [burst async for burst in leaving if burst != first][LOOKAHEAD:] == []
    seen += await items(staying)
    assert seen == told(answer(PrefixDecoder(), LONG))
    await items(engine.stream(lambda: answer(decoder, replace(LONG, max_tokens=1))))
    gc.collect()
    assert [session for session in decoder.sessions if session() is not None] == []
    engine.close()


async def test_a_failed_step_ends_its_own_answer() -> None:
    decoder, engine = PrefixDecoder(), EngineThread()

    class Broken:
        length, nbytes = 0, 0

        def forward(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
            raise ValueError(f"{token_ids} are too much, {logits_rows} wanted")

    def failing() -> Iterator[Event]:
        feed = Feed(Broken(), [1])
        yield Step(decoder, [feed])
        assert feed.logits is not None

    healthy = engine.stream(lambda: answer(decoder, LONG))
    with pytest.raises(ValueError, match="too much"):
        await items(engine.stream(failing))
    assert await items(healthy) == told(answer(PrefixDecoder(), LONG))
    engine.close()


async def test_what_has_no_steps_takes_turns_with_what_has() -> None:
    decoder, engine = PrefixDecoder(), EngineThread()
    order: list[str] = []
    begun, started = threading.Event(), threading.Event()

    def holding() -> Iterator[bool]:
        begun.set()
        yield started.wait()

    def batches() -> Iterator[int]:
        for index in range(4):
            order.append("batch")
            yield index

    def watched() -> Iterator[Event]:
        for event in answer(decoder, replace(LONG, max_tokens=4)):
            if isinstance(event, Step):
                order.append("step")
            yield event

    engine.stream(holding)
    begun.wait()  # or the thread might see the first of the next two without the second
    numbers, events = engine.stream(batches), engine.stream(watched)
    started.set()
    assert [item async for item in numbers] == [[0], [1], [2], [3]]
    assert await items(events) == told(answer(PrefixDecoder(), replace(LONG, max_tokens=4)))
    assert order[:4] == ["batch", "step"] * 2
    engine.close()


async def test_an_ended_answer_does_not_live_on_in_the_engine() -> None:
    decoder, engine = PrefixDecoder(), EngineThread()
    stream = engine.stream(lambda: answer(decoder, LONG))
    await items(stream)
    gone = weakref.ref(stream)
    del stream
    for _ in range(100):
        gc.collect()
        if gone() is None:
            break
        await asyncio.sleep(0.01)
    assert gone() is None
    assert all(session() is None for session in decoder.sessions)
    engine.close()
