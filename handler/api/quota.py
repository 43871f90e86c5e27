"""What a key may use: requests per minute, tokens per day.

    count_request   while the prompt is prepared    one more in this minute, or 429
    reserve         before the model runs           all the tokens that the answer could come to, or 429
    settle          behind the answer's last byte   gives back what was reserved and not used

Reserving makes the limit hold whatever runs beside it and however it ends: a process that dies gives nothing back.
Minutes and days are those of UTC's clock, so up to twice a minute's requests can come within any sixty seconds.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from starlette.types import Scope

from handler.counter import Count, Counter
from handler.errors import QuotaExceeded, RateLimited, Unavailable
from handler.keys import Key

MINUTE, DAY = 60, 24 * 60 * 60  # seconds
# How long a number is kept after its time, in seconds: for whoever looks, and for clocks that disagree.
KEPT = DAY
METER = "handler.meter"  # in the scope; absent where nothing is counted


class Quotas:
    """Makes the meter of each request of a limited key. The clock tells Unix seconds."""

    def __init__(self, counter: Counter, clock: Callable[[], float] = time.time) -> None:
        self._counter = counter
        self._clock = clock

    def meter(self, key: Key) -> "Meter | None":
        return Meter(key, self._counter, self._clock()) if key.is_limited else None


class Meter:
    """What one request counts. Its minute and its day are those in which it came, at `now` in Unix seconds."""

    def __init__(self, key: Key, counter: Counter, now: float) -> None:
        self._key = key
        self._counter = counter
        self._now = now
        self._reserved = 0
        self._headers: dict[str, str] = {}

    @staticmethod
    def of(scope: Scope) -> "Meter | None":
        """The meter of the request that `scope` describes; None where nothing is counted."""
        meter: Meter | None = scope.get(METER)
        return meter

    @property
    def headers(self) -> dict[str, str]:
        """What is known by now of limits, in OpenAI's headers."""
        return self._headers

    @property
    def has_reserved(self) -> bool:
        return self._reserved > 0

    async def count_request(self) -> None:
        """One more request. Raises RateLimited where the minute has had its number, Unavailable where that is not
        to be known."""
        limit = self._key.requests_per_minute
        if limit is None:
            return
        left = self._left(MINUTE)
        count = await self._add(self._name("requests", "%Y-%m-%dT%H:%MZ"), 1, limit, self._expires(MINUTE))
        self._tell("requests", limit, limit - count.value, left)
        if not count.added:
            raise RateLimited(
                f"Rate limit reached for the key {self._key.name} on requests per min (RPM): Limit {limit}, Used"
                f" {count.value}, Requested 1. Please try again in {left}s.",
                retry_after_seconds=left,
            )

    async def reserve(self, tokens: int) -> None:
        """Room for that many tokens. Raises QuotaExceeded where the day has less left, Unavailable where that is not to
        be known."""
        limit = self._key.tokens_per_day
        if limit is None:
            return
        left = self._left(DAY)
        count = await self._add(self._day, tokens, limit, self._expires(DAY))
        self._tell("tokens", limit, limit - count.value, left)
        if not count.added:
            room = max(0, limit - count.value)
            raise QuotaExceeded(
                f"The key {self._key.name} has a limit of {limit} tokens per day and {room} of them left until midnight"
                f" UTC; prompt and answer could come to {tokens}."
                + (" Please send a shorter prompt or a smaller max_completion_tokens." if room else ""),
                retry_after_seconds=left,
            )
        self._reserved = tokens

    async def settle(self, used: int) -> None:
        """Gives back what was reserved beyond the tokens that were used. Idempotent; what fails stays reserved."""
        if not self._reserved:
            return
        spare, self._reserved = self._reserved - used, 0
        if spare:
            try:
                await self._add(self._day, -spare, None, self._expires(DAY))
            except Unavailable:
                return  # the counter has told the log

    async def _add(self, name: str, amount: int, limit: int | None, expires: int) -> Count:
        return await asyncio.to_thread(self._counter.add, name, amount, limit=limit, expires=expires)

    @property
    def _day(self) -> str:
        return self._name("tokens", "%Y-%m-%d")

    def _name(self, kind: str, moment: str) -> str:
        """Of a number: whose it is, of what, and when."""
        return f"{self._key.name}/{kind}/{datetime.fromtimestamp(self._now, UTC).strftime(moment)}"

    def _left(self, period: int) -> int:
        """Seconds until the period ends, at least 1."""
        return period - int(self._now) % period

    def _expires(self, period: int) -> int:
        return int(self._now) + self._left(period) + KEPT

    def _tell(self, kind: str, limit: int, remaining: int, left: int) -> None:
        self._headers |= {
            f"x-ratelimit-limit-{kind}": str(limit),
            f"x-ratelimit-remaining-{kind}": str(max(0, remaining)),
            f"x-ratelimit-reset-{kind}": _duration(left),
        }


def _duration(seconds: int) -> str:
    """As OpenAI writes it: 1s, 6m0s, 3h25m7s."""
    hours, rest = divmod(seconds, 60 * 60)
    minutes, seconds = divmod(rest, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds}s"
