"""Keys that are fetched again and again, so that they can be rotated without a deploy. What fetches is given.

fresh           younger than the time to live         known keys open; an unknown one has them fetched, now and then
stale           older, and a new fetch failed         known keys open, for as long again
out of reach    older than that                       Unavailable: nobody is let in
"""

import asyncio
import logging
import time
from collections.abc import Callable

from handler.errors import ConfigurationError, Unavailable
from handler.keys import Key, KeyRing

LOGGER = logging.getLogger(__name__)

# Seconds between two fetches, however many unknown keys are tried meanwhile and whatever became of the first.
PAUSE = 10.0
# Seconds that a request waits for a fetch; then it goes on with what is known.
PATIENCE = 2.0


class RefreshedKeys:
    """A KeySource over `fetch`, which raises ConfigurationError where there is nothing usable.

    `ttl` and the clock are in seconds. The clock is the wall's: others stand still while Lambda freezes a process.
    """

    def __init__(self, fetch: Callable[[], KeyRing], *, ttl: float, clock: Callable[[], float] = time.time) -> None:
        self._fetch = fetch
        self._ttl = ttl
        self._clock = clock
        self._pause = min(PAUSE, ttl)
        self._ring = KeyRing(())
        self._fetched: float | None = None
        self._tried: float | None = None
        self._fetching: asyncio.Task[None] | None = None

    def refresh(self) -> None:
        """Fetches now, in the calling thread: at the start, and in every copy of a snapshot.

        Raises ConfigurationError where it cannot; then no key is accepted.
        """
        self._fetched = None
        began = self._tried = self._clock()
        self._ring = self._fetch()
        self._fetched = began

    async def find(self, given: bytes, /) -> Key | None:
        """The owner of a key. Raises Unavailable where keys are too old to be believed and no newer ones to be had."""
        if self._age(self._fetched) >= self._ttl:
            await self._refetch()
        owner = self._known().find(given)
        if owner is None:  # perhaps it has come since
            await self._refetch()
            owner = self._known().find(given)
        return owner

    def _known(self) -> KeyRing:
        if self._age(self._fetched) >= 2 * self._ttl:
            raise Unavailable(
                "The server cannot find out at the moment which API keys are accepted. Please try again.",
                retry_after_seconds=max(1, round(self._pause)),
            )
        return self._ring

    async def _refetch(self) -> None:
        """Has the keys fetched, unless that was tried just now. Whoever comes meanwhile waits for the same fetch."""
        if self._fetching is None and self._age(self._tried) >= self._pause:
            self._tried = self._clock()
            self._fetching = asyncio.create_task(self._try_to_fetch(self._tried))
        if self._fetching is not None:
            await asyncio.wait({self._fetching}, timeout=PATIENCE)

    async def _try_to_fetch(self, began: float) -> None:
        try:
            self._ring = await asyncio.to_thread(self._fetch)
            self._fetched = began
        except Exception as error:  # whatever it is, the known keys go on for a while
            # Other messages than ours could quote what was read.
            reason = error.message if isinstance(error, ConfigurationError) else type(error).__qualname__
            LOGGER.warning("The accepted keys could not be fetched again: %s", reason)
        finally:
            self._fetching = None

    def _age(self, moment: float | None) -> float:
        """Seconds since; for ever, where that was never or the clock has been set back."""
        if moment is None:
            return float("inf")
        seconds = self._clock() - moment
        return seconds if seconds >= 0 else float("inf")
