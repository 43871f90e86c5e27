"""One invocation, between the client that waits for it and the runtime that works on it. No sockets here.

The runtime's side writes parts, in order: `Prelude`, bytes, …, then `Ended` or `Failed`. The client's side reads them
and says when each is on its way, so that a slow client slows the runtime down and nothing piles up in between.
"""

import asyncio
from dataclasses import dataclass
from typing import Literal

from lambda_local.prelude import Prelude


@dataclass(frozen=True, slots=True)
class Ended:
    """The answer is whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """There is no answer, or there will be no more of it."""

    error_type: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Throttled:
    """No execution environment became free in time."""


Part = Prelude | bytes | Ended | Failed | Throttled
OnLeave = Literal["break", "drain"]


class ClientLeftError(Exception):
    """Raised on the runtime's side when the client has gone and the URL was told to `break`."""


class Invocation:
    """An event on its way to the runtime and an answer on its way back."""

    def __init__(self, request_id: str, event: bytes, *, trace_id: str, on_leave: OnLeave = "break") -> None:
        self.request_id = request_id
        self.event = event
        self.trace_id = trace_id
        self.outcome: Ended | Failed | Throttled | None = None
        self.answered = asyncio.Event()
        self.client_left = False
        self._sent = asyncio.Event()
        self._on_leave = on_leave
        self._parts: asyncio.Queue[Part] = asyncio.Queue()

    async def write(self, part: Prelude | bytes) -> None:
        """Hand a part over and wait until it is on its way to the client.

        Raises ClientLeftError. A client that left after the last byte of the body is no reason to: nothing was lost.
        """
        if not self.client_left and self.outcome is None:
            self._sent.clear()
            self._parts.put_nowait(part)
            await self._sent.wait()
        if self.client_left and self._on_leave == "break":
            raise ClientLeftError

    def end(self, outcome: Ended | Failed | Throttled) -> None:
        """The last part. Only the first outcome counts."""
        if self.outcome is None:
            self.outcome = outcome
            self._parts.put_nowait(outcome)
            self.answered.set()

    async def read(self) -> Part:
        """The next part, for the client's side."""
        return await self._parts.get()

    def sent(self) -> None:
        """The part read last is on its way."""
        self._sent.set()

    def leave(self) -> None:
        """The client's side reads no more: release a writer that waits for it."""
        self.client_left = True
        self._sent.set()
