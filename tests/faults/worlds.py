"""What a stage depends on outside of itself: a place in S3, a secret. Each can be broken, and mended meanwhile.

S3 is a small server that can fail on demand (`tests/aws/store/faulty_s3.py`), the secrets are moto's.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from handler.keys import digest_of
from lambda_local.function import Function
from tests.aws.cloud import CREDENTIALS, cloud
from tests.aws.store.faulty_s3 import BUCKET, Fault, faulty_s3

SECRET = "keys"
WEIGHTS = "model.onnx.data"
IN_A_SECRET = 500  # entries with hashes; a secret holds 65,536 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`settings` lead a stage to it. `mend` does what an operator would do; `key` is what a client then needs."""

    settings: Mapping[str, str]
    mend: Callable[[], None]
    key: str | None = None


MakeWorld: TypeAlias = Callable[[Path], AbstractContextManager[World]]


def in_s3(*, once: Sequence[Fault] = (), always: Fault | None = None) -> MakeWorld:
    """The model comes from S3, whose reads of the weights fail: the first ones, each in its way, or all."""

    @contextmanager
    def make(model: Path) -> Iterator[World]:
        with faulty_s3() as store:
            for file in model.iterdir():
                store.objects[f"m/{file.name}"] = file.read_bytes()
            weights = f"m/{WEIGHTS}"
            store.once[weights].extend(once)
            if always is not None:
                store.always[weights] = always
            settings = {"LLM_MODEL": f"s3://{BUCKET}/m", "AWS_ENDPOINT_URL_S3": store.url, **CREDENTIALS}
            yield World(settings=settings, mend=store.always.clear)

    return make


def key(number: int) -> str:
    return f"sk-of-the-client-number-{number:04}"


def listed(numbers: range) -> str:
    """Keys as a secret holds them: names and hashes."""
    return json.dumps([{"name": f"client-{n}", "sha256": digest_of(key(n).encode()).hex()} for n in numbers])


def with_secret(*, there: bool) -> MakeWorld:
    """The keys come from a secret, which holds the first key, or is not there. Mended, it holds the second."""

    @contextmanager
    def make(_model: Path) -> Iterator[World]:
        with cloud() as account:
            secrets = account.client("secretsmanager", Function(command=()).region)
            if there:
                secrets.create_secret(Name=SECRET, SecretString=listed(range(1, 2)))

            def mend() -> None:
                change = secrets.put_secret_value if there else secrets.create_secret
                change(**{"SecretId" if there else "Name": SECRET}, SecretString=listed(range(2, 3)))
                time.sleep(1.1)  # the keys' time to live

            settings = {"LLM_API_KEYS_FROM": f"secretsmanager:{SECRET}", "LLM_API_KEYS_TTL": "1"}
            yield World(settings={**settings, **account.environment}, mend=mend, key=key(2))

    return make


@contextmanager
def a_thousand_keys(_model: Path) -> Iterator[World]:
    """In two secrets; the client has the last one."""
    with cloud() as account:
        secrets = account.client("secretsmanager", Function(command=()).region)
        for name, first in (("a", 1), ("b", 1 + IN_A_SECRET)):
            secrets.create_secret(Name=name, SecretString=listed(range(first, first + IN_A_SECRET)))
        settings = {"LLM_API_KEYS_FROM": "secretsmanager:a,secretsmanager:b", **account.environment}
        yield World(settings=settings, mend=lambda: None, key=key(2 * IN_A_SECRET))
