"""Keys that are kept in AWS, with the whole process: start, rotation, restore, and every way not to be open."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from handler.keys import digest_of
from tests.aws.cloud import Cloud, cloud
from tests.aws.fake_runtime_api import FakeRuntimeApi, function_url
from tests.e2e.processes import ROOT, environment, free_port, running

FIRST, SECOND = "sk-the-first-key-of-alice", "sk-the-second-key-of-alice"


def listed(*keys: str) -> str:
    """The list that holds no key, only hashes."""
    return json.dumps([{"name": "alice", "sha256": [digest_of(key.encode()).hex() for key in keys]}])


@pytest.fixture
def account() -> Iterator[Cloud]:
    with cloud() as made:
        yield made


def status(url: str, key: str) -> int:
    return httpx.get(f"{url}/v1/models", headers={"authorization": f"Bearer {key}"}).status_code


def test_keys_are_rotated_without_a_restart(account: Cloud, default_model: Path, tmp_path: Path) -> None:
    secrets = account.client("secretsmanager")
    secrets.create_secret(Name="keys", SecretString=listed(FIRST))
    port, log = free_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{port}"
    settings = {
        "LLM_API_KEYS_FROM": "secretsmanager:keys",
        "LLM_API_KEYS_TTL": "1",
        "LLM_PUBLIC": "true",
        "LLM_LOG_LEVEL": "debug",
    }
    with running(
        ["-m", "handler"],
        url=f"{url}/health",
        log=log,
        LLM_MODEL=str(default_model),
        LLM_PORT=str(port),
        **settings,
        **account.environment,
    ):
        assert [status(url, key) for key in (FIRST, SECOND, "none")] == [200, 401, 401]
        secrets.put_secret_value(SecretId="keys", SecretString=listed(FIRST, SECOND))
        time.sleep(1.1)
        assert [status(url, key) for key in (FIRST, SECOND)] == [200, 200]
        secrets.put_secret_value(SecretId="keys", SecretString=listed(SECOND))
        time.sleep(1.1)
        assert [status(url, key) for key in (FIRST, SECOND)] == [401, 200]
        secrets.delete_secret(SecretId="keys")
        time.sleep(2.1)
        assert [status(url, key) for key in (FIRST, SECOND)] == [503, 503]
    told = log.read_text()
    assert '"key": "alice"' in told
    assert "sk-the-" not in told
    assert digest_of(FIRST.encode()).hex() not in told
    assert "The keys in secretsmanager:keys cannot be read: InvalidRequestException" in told


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"LLM_API_KEYS_FROM": "secretsmanager:nowhere"}, "secretsmanager:nowhere cannot be read: ResourceNotFound"),
        ({"LLM_API_KEYS_FROM": "ssm:/empty"}, "ssm:/empty holds no list of keys"),
        ({"LLM_API_KEYS_FROM": "ssm:/weak", "LLM_PUBLIC": "true"}, "key 1 in ssm:/weak has fewer than 16 characters"),
        ({"LLM_API_KEYS_FROM": "ssm:/weak,ssm:/other"}, "LLM_API_KEYS_FROM has the name key-1 2 times"),
        ({"LLM_API_KEYS_FROM": " , "}, "LLM_API_KEYS_FROM: Value error, name the place where the keys are kept"),
        ({"LLM_API_KEYS_FROM": "sk-a-key-itself"}, "LLM_API_KEYS_FROM: Value error, name the place"),
        ({"LLM_API_KEYS": " , "}, "LLM_API_KEYS holds no key"),
        ({"LLM_API_KEYS": "sk-one", "LLM_API_KEYS_FROM": "ssm:/weak"}, "are both set"),
        (
            {"LLM_API_KEYS": '{"name": "alice", "key": "sk-one", "tokens_per_day": 9}'},
            "LLM_API_KEYS has keys with limits, and no table is there to count in: set LLM_QUOTA_TABLE",
        ),
        ({"LLM_PUBLIC": "true", "LLM_API_KEYS": ""}, "LLM_API_KEYS and LLM_API_KEYS_FROM are empty"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
async def test_what_would_leave_it_open_is_one_line_and_an_init_error(
    account: Cloud, default_model: Path, settings: dict[str, str], told: str
) -> None:
    parameters = account.client("ssm")
    for name, value in (("/empty", "[]"), ("/weak", "sk-short"), ("/other", "sk-other")):
        parameters.put_parameter(Name=name, Value=value, Type="SecureString")
    async with FakeRuntimeApi() as api:
        on_lambda = {"AWS_LAMBDA_RUNTIME_API": api.address, "LLM_MODEL": str(default_model)}
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "handler"],
            cwd=ROOT,
            env=environment(**on_lambda, **account.environment, **settings),
            capture_output=True,
            text=True,
            timeout=60,
        )
        post = await api.post()
    assert (done.returncode, done.stderr.count("\n"), api.polls) == (1, 1, 0)
    assert told in done.stderr
    assert (post.path, json.loads(post.body)["errorType"]) == ("/init/error", "ConfigurationError")
    assert told in json.loads(post.body)["errorMessage"]
    assert "sk-" not in done.stderr


@pytest.mark.parametrize("mode", ["stream", "buffered"])
async def test_a_restored_snapshot_fetches_its_keys_before_the_first_request(
    account: Cloud, default_model: Path, mode: str
) -> None:
    secrets = account.client("secretsmanager")
    secrets.create_secret(Name="keys", SecretString=listed(FIRST))
    async with FakeRuntimeApi() as api:
        api.restored.clear()
        settings = {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
            "LLM_MODE": mode,
            "LLM_MODEL": str(default_model),
            "LLM_API_KEYS_FROM": "secretsmanager:keys",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "handler", cwd=ROOT, env=environment(**settings, **account.environment)
        )
        try:
            await asyncio.wait_for(api.restoring.wait(), 60)
            secrets.put_secret_value(SecretId="keys", SecretString=listed(SECOND))
            api.restored.set()
            answers = []
            for number, key in enumerate((FIRST, SECOND)):
                event = function_url("/v1/models")
                event["headers"]["authorization"] = f"Bearer {key}"
                api.invoke(event, f"id-{number}")
                answers.append((await api.post()).body)
        finally:
            process.kill()
            await process.wait()
    assert [b"invalid_api_key" in answer for answer in answers] == [True, False]
    assert b"SmolLM2-135M-Instruct" in answers[1]
