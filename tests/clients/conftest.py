"""The live server with the default model, behind a proxy that holds every answer against the contract."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.conftest import listening
from tests.clients.proxy import ReverseProxy
from tests.contract.wire import Checked
from tests.e2e.processes import free_port, running
from tests.models import exported

KEY = "sk-clients"


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the live server prints: a line of JSON for each request."""
    return tmp_path_factory.mktemp("clients") / "log"


@pytest.fixture(scope="session")
def origin(log: Path) -> Iterator[str]:
    """The address of `python -m handler`, without a path."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {"LLM_MODEL": str(exported("default", "int8")), "LLM_PORT": str(port), "LLM_API_KEYS": KEY}
    with running(["-m", "handler"], url=f"{url}/health", log=log, **settings):
        yield url


@pytest.fixture(scope="session")
def contract(origin: str) -> Iterator[tuple[str, Checked]]:
    """The base URL of the API behind the proxy, and the proxy's verdict."""
    checked = Checked(ReverseProxy(origin))
    with listening(checked) as url:
        yield f"{url}/v1", checked
