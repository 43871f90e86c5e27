"""The test's side of a script: a function around `runtime.py`, and the place where its `hold` steps wait."""

import asyncio
import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lambda_local.function import Function

COMMAND = (sys.executable, "-S", str(Path(__file__).with_name("runtime.py")))


class Stage:
    """`reached()` returns when the runtime holds; `release()` lets it go on."""

    def __init__(self) -> None:
        self._holding: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        self._held: asyncio.StreamWriter | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._arrive, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    def _arrive(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self._holding.put_nowait(writer)

    async def reached(self) -> None:
        self._held = await self._holding.get()

    def release(self) -> None:
        assert self._held is not None
        self._held.write(b".")
        self._held.close()

    def function(self, env: dict[str, str] | None = None, **options: Any) -> Function:
        options.setdefault("timeout", 20)
        return Function(command=COMMAND, env={"STAGE": str(self.port), **(env or {})}, **options)


def script(*steps: tuple[str, Any] | str) -> dict[str, str]:
    """The header that makes the runtime do this."""
    return {"x-script": json.dumps([(step, None) if isinstance(step, str) else step for step in steps])}
