"""The real model in little memory: a flood of what does not fit, and the process goes on."""

import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import MODEL
from tests.e2e.processes import free_port, running

MEMORY_MB = 600
# Of private memory, what nobody has written to included: stacks, and the room that buffers have to grow.
ADDRESSES_MB = 2 * MEMORY_MB
CAPPED = f"""
import resource, runpy
resource.setrlimit(resource.RLIMIT_DATA, ({ADDRESSES_MB} << 20,) * 2)
runpy.run_module("handler", run_name="__main__")
"""


@pytest.fixture(scope="module")
def server(default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The URL and the process of a server whose memory the kernel bounds."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("capped") / "log"
    settings = {"LLM_MODEL": str(default_model), "LLM_PORT": str(port), "LLM_MEMORY_MB": str(MEMORY_MB)}
    with running(["-c", CAPPED], url=url + "/health", log=log, **settings) as process:
        assert resource.prlimit(process.pid, resource.RLIMIT_DATA)[0] == ADDRESSES_MB << 20
        yield url, process.pid


def ask(url: str, words: int, **fields: int) -> httpx.Response:
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "word " * words}], **fields}
    return httpx.post(f"{url}/v1/chat/completions", json=asked, timeout=300)


def peak_mb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:"))


def test_what_can_never_fit_names_its_field(server: tuple[str, int]) -> None:
    url, _ = server
    for words, fields, param in (
        (5000, {}, "messages"),
        (100, {"n": 8, "max_tokens": 1000}, "n"),
        (100, {"max_tokens": 8000}, "max_tokens"),
    ):
        refused = ask(url, words, **fields)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


def test_a_flood_is_answered_or_refused_and_the_process_goes_on(server: tuple[str, int]) -> None:
    url, pid = server
    flood: list[tuple[int, dict[str, int]]] = [
        (800, {"max_tokens": 4}),
        (5000, {"max_tokens": 4}),
        (40, {"n": 8, "max_tokens": 10}),
        (300, {"n": 4, "max_tokens": 4}),
        (30, {}),
    ] * 3
    flood = [(words, {"max_tokens": 20, **fields}) if words == 30 else (words, fields) for words, fields in flood]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda asked: ask(url, asked[0], **asked[1]), flood))
    assert {answer.status_code for answer in answers} <= {200, 400, 429, 503}
    assert [answer.status_code for (words, _), answer in zip(flood, answers, strict=True) if words == 5000] == [400] * 3
    for words, fields in flood[:1] + flood[2:5]:  # what fits alone
        assert ask(url, words, **fields).status_code == 200
    assert peak_mb(pid) <= MEMORY_MB
