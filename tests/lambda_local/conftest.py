import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest

from lambda_local.function_url import FunctionUrl
from tests.lambda_local.stage import Stage

Open = Callable[..., AbstractAsyncContextManager[tuple[FunctionUrl, httpx.AsyncClient]]]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage() as stage:
        yield stage


@pytest.fixture
def lines() -> list[str]:
    """What the emulator logs."""
    return []


@pytest.fixture
def open_url(stage: Stage, lines: list[str]) -> Open:
    """Enter a URL in front of the stand-in runtime, with a client for it. Options go to the function or the URL."""

    @contextlib.asynccontextmanager
    async def enter(
        *, function: dict[str, Any] | None = None, **options: Any
    ) -> AsyncIterator[tuple[FunctionUrl, httpx.AsyncClient]]:
        configured = FunctionUrl(stage.function(**(function or {})), log=lines.append, **options)
        async with configured as url, httpx.AsyncClient(base_url=url.base_url, timeout=30) as client:
            yield url, client

    return enter
