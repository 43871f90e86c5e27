"""The engine thread: turns, order, back-pressure and ends."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from handler.api.stepping import LOOKAHEAD, EngineThread


async def alive(engine: EngineThread) -> bool:
    """Whether the engine still takes turns."""
    return [item async for item in engine.stream(lambda: iter([1]))] == [[1]]


async def test_items_arrive_in_order_and_come_from_one_other_thread() -> None:
    threads = set()

    def items() -> Iterator[int]:
        for i in range(5):
            threads.add(threading.get_ident())
            yield i

    engine = EngineThread()
    assert [item async for item in engine.stream(items)] == [[0], [1], [2], [3], [4]]
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_answers_take_turns_in_the_order_they_came() -> None:
    steps: list[str] = []
    started = threading.Event()

    def items(name: str) -> Iterator[None]:
        started.wait()
        for _ in range(LOOKAHEAD):
            steps.append(name)
            yield

    engine = EngineThread()
    streams = [engine.stream(lambda name=name: items(name)) for name in "abc"]
    started.set()
    for stream in streams:
        async for _ in stream:
            pass
    assert "".join(steps) == "abc" * LOOKAHEAD


async def test_a_consumer_that_does_not_take_stops_its_own_answer_only() -> None:
    taken = []

    def items(out: list[int]) -> Iterator[int]:
        for i in range(100):
            out.append(i)
            yield i

    engine = EngineThread()
    idle = engine.stream(lambda: items(taken))
    other = [item async for item in engine.stream(lambda: items([]))]
    assert len(other) == 100
    assert len(taken) == LOOKAHEAD
    assert len([item async for item in idle]) == 100


async def test_a_cancelled_answer_ends_and_is_closed_within_its_next_step() -> None:
    closed = threading.Event()
    computed = []

    def items() -> Iterator[int]:
        try:
            for i in range(1_000_000):
                computed.append(i)
                yield i
        finally:
            closed.set()

    engine = EngineThread()
    stream = engine.stream(items)
    first = await anext(stream)
    stream.cancel()
    stream.cancel()
    assert [first] + [item async for item in stream] == [[0]]
    assert await asyncio.to_thread(closed.wait, 10)
    assert len(computed) <= 1 + LOOKAHEAD


async def test_an_answer_that_is_cancelled_before_its_first_step_never_starts() -> None:
    hold, calls = threading.Event(), []
    engine = EngineThread()

    def blocking() -> Iterator[bool]:
        yield hold.wait()

    def items() -> Iterator[int]:
        calls.append(1)
        return iter(())

    blocker = engine.stream(blocking)
    engine.stream(items).cancel()
    hold.set()
    assert [item async for item in blocker] == [[True]]
    assert await alive(engine)
    assert calls == []


async def test_closing_waits_for_the_step_under_way_and_ends_the_thread() -> None:
    begun, hold, ended = threading.Event(), threading.Event(), []

    def items() -> Iterator[int]:
        begun.set()
        hold.wait()
        ended.append(1)
        yield 1

    engine = EngineThread()
    engine.stream(items)
    await asyncio.to_thread(begun.wait)
    closing = asyncio.ensure_future(asyncio.to_thread(engine.close))
    hold.set()
    await closing
    assert ended == [1]
    assert engine.stream(items) is not None  # asked too late: gets no turn, and harms nobody


def test_closing_an_engine_that_never_ran_does_nothing() -> None:
    EngineThread().close()


async def test_failures_reach_the_one_who_asked_and_the_thread_lives_on() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("in a step")

    engine = EngineThread()
    stream = engine.stream(items)
    assert await anext(stream) == [1]
    with pytest.raises(ValueError, match="in a step"):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert await alive(engine)


def test_event_loops_share_one_engine() -> None:
    engine = EngineThread()
    results: list[list[list[int]]] = []

    async def consume() -> None:
        results.append([item async for item in engine.stream(lambda: iter(range(50)))])

    threads = [threading.Thread(target=asyncio.run, args=(consume(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[[number] for number in range(50)]] * 3


def test_a_loop_that_has_gone_harms_no_other() -> None:
    engine = EngineThread()

    def items() -> Iterator[int]:
        while True:
            yield 1

    async def leave() -> None:
        stream = engine.stream(items)
        for _ in range(5):
            await anext(stream)

    asyncio.run(leave())
    # Parked for a consumer that has gone, or noticed at the next step: either way others go on.
    assert asyncio.run(alive(engine))
