"""Facts about work that nobody waits for: it is done once, while no answer is in flight, or not at all."""

import asyncio
import threading

from handler.api.admission import Admission
from handler.api.quiet import doing_when_quiet


class Work:
    """Notes in which threads it was done."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.threads: list[int] = []
        self.done = asyncio.Event()

    def __call__(self) -> None:
        self.threads.append(threading.get_ident())
        self._loop.call_soon_threadsafe(self.done.set)


async def test_it_is_done_once_in_another_thread() -> None:
    work = Work()
    async with doing_when_quiet(Admission(1), work, pause=0):
        await work.done.wait()
        await asyncio.sleep(0.01)
    assert len(work.threads) == 1
    assert work.threads != [threading.get_ident()]


async def test_it_waits_for_the_last_answer() -> None:
    work = Work()
    admission = Admission(2)
    async with doing_when_quiet(admission, work, pause=0):
        with admission.slot(), admission.slot():
            await asyncio.sleep(0.01)
            assert work.threads == []
        await work.done.wait()
    assert len(work.threads) == 1


async def test_a_server_that_stops_first_does_not_do_it() -> None:
    work = Work()
    async with doing_when_quiet(Admission(1), work, pause=60):
        await asyncio.sleep(0)
    assert work.threads == []


async def test_there_may_be_none() -> None:
    async with doing_when_quiet(Admission(1), None):
        await asyncio.sleep(0)
