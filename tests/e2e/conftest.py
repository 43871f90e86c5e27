"""The default model, the laptop server and the local Lambda, each started once for all end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.api.conftest import listening
from tests.clients.proxy import ReverseProxy
from tests.contract.wire import Checked
from tests.e2e.processes import free_port, running
from tests.models import exported

MODEL = "SmolLM2-135M-Instruct"
KEY = "sk-end-to-end"


@pytest.fixture(scope="session")
def default_model() -> Path:
    return exported("default", "int8")


@pytest.fixture(scope="session")
def server(default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of `python -m handler` on this machine."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("server") / "log"
    settings = {"LLM_MODEL": str(default_model), "LLM_PORT": str(port), "LLM_API_KEYS": KEY}
    with running(["-m", "handler"], url=url + "/health", log=log, **settings):
        yield url + "/v1"


@pytest.fixture(scope="session")
def function_url(default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of `python -m lambda_local`: the same app through the Runtime API, as on AWS."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("lambda") / "log"
    settings = {"LLM_MODEL": str(default_model), "LLM_API_KEYS": KEY}
    with running(["-m", "lambda_local", "--port", str(port)], url=url + "/health", log=log, **settings):
        yield url + "/v1"


@pytest.fixture(params=["server", "function_url"], ids=["laptop", "lambda"])
def client(request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    """The official client, pointed at the laptop server and at the local Lambda in turn, held against the contract."""
    base_url = request.getfixturevalue(request.param)
    checked = Checked(ReverseProxy(base_url.removesuffix("/v1")))
    with (
        listening(checked) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        yield client
    checked.check()
