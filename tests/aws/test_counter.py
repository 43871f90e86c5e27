"""What every counter does, in the process's memory and in moto's DynamoDB; and what the table's own faults become."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from handler.aws.counter import DynamoCounter
from handler.counter import Count, Counter, MemoryCounter
from handler.errors import Unavailable
from tests.aws.cloud import Cloud, cloud

FAR = int(time.time()) + 1000  # Unix seconds


@pytest.fixture(scope="module")
def account() -> Iterator[Cloud]:
    with cloud() as made:
        made.create_quota_table()
        yield made


@pytest.fixture
def in_aws(account: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    for name, value in account.environment.items():
        monkeypatch.setenv(name, value)
    return account


@pytest.fixture(params=["memory", "table"])
def counters(request: pytest.FixtureRequest) -> tuple[Counter, ...]:
    """Those of several copies of the function; of a process there is one."""
    if request.param == "memory":
        return (MemoryCounter(),)
    request.getfixturevalue("in_aws")
    return tuple(DynamoCounter("quotas") for _ in range(3))


def test_what_fits_is_added_and_what_does_not_changes_nothing(counters: tuple[Counter, ...]) -> None:
    first, last = counters[0], counters[-1]
    assert first.add("a", 7, limit=10, expires=FAR) == Count(value=7, added=True)
    assert last.add("a", 4, limit=10, expires=FAR) == Count(value=7, added=False)
    assert last.add("a", 3, limit=10, expires=FAR) == Count(value=10, added=True)
    assert first.add("a", 1, limit=10, expires=FAR) == Count(value=10, added=False)
    assert last.add("a", -5, limit=None, expires=FAR) == Count(value=5, added=True)
    assert first.add("a", 5, limit=10, expires=FAR) == Count(value=10, added=True)
    assert first.add("other", 1, limit=10, expires=FAR) == Count(value=1, added=True)


def test_more_than_the_whole_limit_never_fits(counters: tuple[Counter, ...]) -> None:
    counter = counters[0]
    assert counter.add("large", 11, limit=10, expires=FAR) == Count(value=0, added=False)
    assert counter.add("large", 2, limit=10, expires=FAR) == Count(value=2, added=True)
    assert counter.add("large", 11, limit=10, expires=FAR) == Count(value=2, added=False)


def test_no_number_of_copies_at_once_exceeds_a_limit(counters: tuple[Counter, ...]) -> None:
    limit, tries = 20, 60
    with ThreadPoolExecutor(12) as threads:
        counts = list(
            threads.map(lambda i: counters[i % len(counters)].add("rush", 1, limit=limit, expires=FAR), range(tries))
        )
    assert sorted(count.value for count in counts if count.added) == list(range(1, limit + 1))
    assert sum(count.added for count in counts) == limit


def test_a_process_forgets_what_has_expired() -> None:
    now = 1000.0
    counter = MemoryCounter(clock=lambda: now)
    counter.add("old", 1, limit=None, expires=1010)
    counter.add("young", 1, limit=None, expires=2000)
    now = 1500.0
    counter.add("new", 1, limit=None, expires=2000)
    assert counter.add("young", 0, limit=None, expires=2000).value == 1
    assert counter.add("old", 0, limit=None, expires=2000).value == 0


def test_an_item_has_its_name_its_number_and_its_end(in_aws: Cloud) -> None:
    DynamoCounter("quotas").add("alice/tokens/2026-11-22", 5, limit=10, expires=FAR)
    item = in_aws.client("dynamodb").get_item(TableName="quotas", Key={"counter": {"S": "alice/tokens/2026-11-22"}})
    assert item["Item"] == {
        "counter": {"S": "alice/tokens/2026-11-22"},
        "used": {"N": "5"},
        "expires": {"N": str(FAR)},
    }


def test_a_table_that_is_not_there_lets_nobody_through(in_aws: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    del in_aws
    with caplog.at_level(logging.WARNING), pytest.raises(Unavailable, match="cannot count requests at the moment"):
        DynamoCounter("nowhere").add("a", 1, limit=10, expires=FAR)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("handler")] == [
        "The table nowhere cannot be counted in: ResourceNotFoundException"
    ]


def test_a_table_that_is_out_of_reach_lets_nobody_through(in_aws: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    del in_aws
    counter = DynamoCounter("quotas")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(Unavailable):
        counter.add("a", 1, limit=10, expires=FAR)
