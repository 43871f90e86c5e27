"""The application's lifespan: started once before the first request, ended once after the last.

An application that knows no lifespan (it raises at once) is served without one, as the ASGI specification says.
"""

import asyncio

from handler.aws.asgi import ASGIApp, Message, State


class LifespanFailed(RuntimeError):
    """The application refused to start, and gave no exception."""


class Lifespan:
    """`startup()` gives the state that each request gets a copy of; `shutdown()` lets the application clean up."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._state: State = {}
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._outbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> State:
        """Raises what the application raised, or LifespanFailed where it only said that it failed."""
        self._task = asyncio.create_task(self._run())
        await self._inbox.put({"type": "lifespan.startup"})
        answer = await self._outbox.get()
        if answer is not None and answer["type"] == "lifespan.startup.failed":
            await self._task
            raise LifespanFailed("the application's start-up failed")
        return self._state

    async def shutdown(self) -> None:
        if self._task is None or self._task.done():
            return
        await self._inbox.put({"type": "lifespan.shutdown"})
        await self._outbox.get()
        await self._task

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        told = False

        async def send(message: Message) -> None:
            nonlocal told
            told = True
            await self._outbox.put(message)

        try:
            await self._app(scope, self._inbox.get, send)
        except Exception:
            if told:
                raise
        finally:
            await self._outbox.put(None)
