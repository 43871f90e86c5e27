"""The default model in an S3 that is moto's: published, served from there, and not served when it is damaged."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from handler.aws.store.publish import publish
from handler.location import S3Location
from tests.aws.fake_runtime_api import FakeRuntimeApi
from tests.e2e.processes import ROOT, environment, free_port, running
from tests.models import exported

LOCATION = S3Location(bucket="models", prefix="smollm2/v1")
SETTINGS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A client of it; the only S3 that there is for this process and those that it starts."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {**SETTINGS, "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}"}.items():
            patched.setenv(name, value)
        client = boto3.session.Session().client("s3")
        client.create_bucket(Bucket=LOCATION.bucket)
        yield client
        client.close()
    server.stop()


@pytest.fixture(scope="module")
def pinned(s3: Any) -> S3Location:
    assert s3.list_buckets()["Buckets"]
    return publish(exported("default", "int8"), LOCATION, lambda _line: None)


def test_the_default_model_is_served_from_s3(pinned: S3Location, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{port}"
    with running(["-m", "handler"], url=f"{url}/health", log=log, LLM_MODEL=str(pinned), LLM_PORT=str(port)):
        question = {"role": "user", "content": "What is the capital of France?"}
        body = {"model": "SmolLM2-135M-Instruct", "messages": [question], "temperature": 0, "max_tokens": 16}
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60).json()
    assert answer["choices"][0]["message"]["content"] == "The capital of France is Paris."
    (ready,) = (json.loads(line) for line in log.read_text().splitlines() if '"ready"' in line)
    stored = json.loads((exported("default", "int8") / "manifest.json").read_text())["files"]
    assert ready["store_bytes"] == sum(entry["size"] for entry in stored.values())


async def test_what_is_damaged_there_is_an_init_error_that_names_it(s3: Any, pinned: S3Location) -> None:
    key = LOCATION.key("tokenizer.json")
    whole = s3.get_object(Bucket=LOCATION.bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=LOCATION.bucket, Key=key, Body=whole.replace(b"a", b"b", 1))
    try:
        async with FakeRuntimeApi() as api:
            settings = environment(LLM_MODEL=str(pinned), AWS_LAMBDA_RUNTIME_API=api.address)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "handler", cwd=ROOT, env=settings, stderr=asyncio.subprocess.PIPE
            )
            _, said = await process.communicate()
            post = await api.post()
            error = json.loads(post.body)
    finally:
        s3.put_object(Bucket=LOCATION.bucket, Key=key, Body=whole)
    message = (
        f"s3://models/{key} does not have the sha256 of its manifest: publish the model again, to a prefix of its own"
    )
    assert (post.path, error["errorType"], error["errorMessage"]) == ("/init/error", "ArtifactError", message)
    assert (process.returncode, api.polls, f"lambda-llm: {message}" in said.decode()) == (1, 0, True)


def test_a_start_without_s3_imports_nothing_of_aws(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    with running(
        ["-X", "importtime", "-m", "handler"],
        url=f"http://127.0.0.1:{port}/health",
        log=log,
        LLM_MODEL=str(exported("default", "int8")),
        LLM_PORT=str(port),
    ):
        imported = {line.rpartition("|")[2].strip() for line in log.read_text().splitlines() if "import time" in line}
    assert "onnxruntime" in imported
    assert imported.isdisjoint({"boto3", "botocore", "handler.aws"})
