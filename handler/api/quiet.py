"""Work that nobody waits for, put off until it disturbs nobody."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from handler.api.admission import Admission

# How long after the start, and between two looks, in seconds: a client that waited for the server goes first.
PAUSE = 1.0


@asynccontextmanager
async def doing_when_quiet(
    admission: Admission, work: Callable[[], None] | None, *, pause: float = PAUSE
) -> AsyncIterator[None]:
    """Within the block, runs `work` once, in a thread, at the first look that finds no answer in flight."""
    if work is None:
        yield
        return
    task = asyncio.create_task(_wait_and_do(admission, work, pause))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _wait_and_do(admission: Admission, work: Callable[[], None], pause: float) -> None:
    while True:
        await asyncio.sleep(pause)
        if admission.idle:
            await asyncio.to_thread(work)
            return
