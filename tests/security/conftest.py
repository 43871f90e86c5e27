"""A client of the application in this process, without keys."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.api.conftest import make_app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
