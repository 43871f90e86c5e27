"""Two copies restored from one snapshot of the real process: alike where they must be, and nowhere else."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.aws.fake_runtime_api import FakeRuntimeApi, function_url
from tests.e2e.processes import ROOT, environment
from tests.faults.asking import PARIS, Json
from tests.faults.stage import PATIENCE

POEM = PARIS | {"temperature": 1.5, "max_completion_tokens": 16, "messages": [{"role": "user", "content": "A poem!"}]}


@asynccontextmanager
async def copies(model: Path, mode: str) -> AsyncIterator[list[FakeRuntimeApi]]:
    """The Runtime APIs of two copies."""
    async with AsyncExitStack() as stack:
        apis = [await stack.enter_async_context(FakeRuntimeApi()) for _ in range(2)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.faults.snapshot",
            *(api.address for api in apis),
            cwd=ROOT,
            env=environment(LLM_MODEL=str(model), LLM_MODE=mode, LLM_THREADS="1"),
            start_new_session=True,
        )
        try:
            for api in apis:
                await asyncio.wait_for(api.polled.get(), PATIENCE)
            yield apis
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def answers(apis: list[FakeRuntimeApi], body: Json) -> list[Json]:
    """What each copy answers to the same event."""
    event = function_url("/v1/chat/completions", "POST", json.dumps(body))
    for api in apis:
        api.invoke(event)
    return [_answer((await api.post()).body) for api in apis]


def _answer(body: bytes) -> Json:
    _, nuls, streamed = body.partition(bytes(8))
    answer: Json = json.loads(streamed if nuls else json.loads(body)["body"])
    return answer


def text(answer: Json) -> Any:
    return answer["choices"][0]["message"]["content"]


@pytest.mark.parametrize("mode", ["stream", "buffered"])
async def test_copies_differ_where_chance_decides_and_only_there(default_model: Path, mode: str) -> None:
    async with copies(default_model, mode) as apis:
        one, other = await answers(apis, POEM)
        assert text(one) != text(other)
        assert one["id"] != other["id"]
        one, other = await answers(apis, POEM | {"seed": 7})
        assert text(one) == text(other)
        one, other = await answers(apis, PARIS)
        assert text(one) == text(other)
        assert one["system_fingerprint"] == other["system_fingerprint"]
