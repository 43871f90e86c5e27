"""Settings → who is let in, how far, and what a restored snapshot renews."""

import json
from collections.abc import Iterator

import pytest

from handler.access import access_of
from handler.aws.counter import DynamoCounter
from handler.counter import MemoryCounter
from handler.errors import ConfigurationError
from handler.keys import StaticKeys, digest_of
from handler.refreshed_keys import RefreshedKeys
from handler.settings import load_settings
from tests.aws.cloud import Cloud, cloud

LIMITED = '{"name": "alice", "key": "sk-of-alice", "tokens_per_day": 9}'
SECRET_BYTES = 65_536  # Secrets Manager takes no more


@pytest.fixture(scope="module")
def account() -> Iterator[Cloud]:
    with cloud() as made:
        yield made


@pytest.fixture
def environment(account: Cloud, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in account.environment.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_without_keys_there_is_nothing_to_do() -> None:
    access = access_of(load_settings(), on_lambda=True)
    assert (access.keys, access.prepare, access.on_restore) == (None, None, ())


def test_limits_hold_on_a_laptop_and_on_lambda_only_with_a_table(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LLM_API_KEYS", LIMITED)
    laptop = access_of(load_settings(), on_lambda=False)
    assert (type(laptop.keys), type(laptop.counter), laptop.on_restore) == (StaticKeys, MemoryCounter, ())
    with pytest.raises(ConfigurationError, match="no table is there to count in: set LLM_QUOTA_TABLE"):
        access_of(load_settings(), on_lambda=True)
    environment.setenv("LLM_QUOTA_TABLE", "quotas")
    function = access_of(load_settings(), on_lambda=True)
    assert (type(function.counter), len(function.on_restore)) == (DynamoCounter, 1)


async def test_a_limit_that_comes_later_and_would_not_hold_is_not_let_in(
    account: Cloud, environment: pytest.MonkeyPatch
) -> None:
    parameters = account.client("ssm")
    parameters.put_parameter(Name="/keys", Value='{"name": "alice", "key": "sk-of-alice"}', Type="SecureString")
    environment.setenv("LLM_API_KEYS_FROM", "ssm:/keys")
    access = access_of(load_settings(), on_lambda=True)
    assert isinstance(access.keys, RefreshedKeys)
    access.keys.refresh()
    parameters.put_parameter(Name="/keys", Value=LIMITED, Type="SecureString", Overwrite=True)
    (renew,) = access.on_restore
    with pytest.raises(ConfigurationError, match="LLM_API_KEYS_FROM has keys with limits"):
        renew()


async def test_a_thousand_keys_with_hashes_are_two_secrets(account: Cloud, environment: pytest.MonkeyPatch) -> None:
    keys = [f"sk-{number:040}" for number in range(1000)]
    entries = [
        {"name": f"user-{number:04}", "sha256": digest_of(key.encode()).hex()} for number, key in enumerate(keys)
    ]
    for name, part in (("keys-a", entries[:500]), ("keys-b", entries[500:])):
        text = json.dumps(part)
        assert len(text) <= SECRET_BYTES
        account.client("secretsmanager").create_secret(Name=name, SecretString=text)
    environment.setenv("LLM_API_KEYS_FROM", "secretsmanager:keys-a, secretsmanager:keys-b")
    environment.setenv("LLM_PUBLIC", "true")
    access = access_of(load_settings(), on_lambda=True)
    assert access.prepare is not None
    access.prepare()
    assert access.keys is not None
    owners = [await access.keys.find(key.encode()) for key in keys]
    assert [owner.name for owner in owners if owner is not None] == [entry["name"] for entry in entries]
    assert await access.keys.find(b"sk-of-a-stranger") is None
