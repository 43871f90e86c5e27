"""Keys that are fetched again: rotation, outages and strangers, on a clock of the test's own."""

import asyncio
import logging
import threading

import pytest

from handler.errors import ConfigurationError, Unavailable
from handler.keys import Key, KeyRing, digest_of
from handler.refreshed_keys import RefreshedKeys


class Store:
    """A secret, its clock, and how often it was read. `error`: what reading raises. `gate`: what a read waits for."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys
        self.now = 1000.0
        self.reads = 0
        self.error: Exception | None = None
        self.reading = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def fetch(self) -> KeyRing:
        self.reads += 1
        self.reading.set()
        self.gate.wait()
        if self.error is not None:
            raise self.error
        return KeyRing(Key(name=key, digests=(digest_of(key.encode()),)) for key in self.keys)

    def ring(self, ttl: float = 300) -> RefreshedKeys:
        keys = RefreshedKeys(self.fetch, ttl=ttl, clock=lambda: self.now)
        keys.refresh()
        return keys


async def name(keys: RefreshedKeys, given: str) -> str | None:
    owner = await keys.find(given.encode())
    return None if owner is None else owner.name


async def test_keys_are_fetched_once_while_they_are_fresh() -> None:
    store = Store("a", "b")
    keys = store.ring()
    for store.now in (1000, 1100, 1299.9):
        assert (await name(keys, "a"), await name(keys, "b")) == ("a", "b")
    assert store.reads == 1


async def test_a_key_that_was_taken_out_stops_within_the_time_to_live() -> None:
    store = Store("old", "a")
    keys = store.ring()
    store.keys = ("new", "a")
    store.now = 1299
    assert await name(keys, "old") == "old"
    store.now = 1300
    assert [await name(keys, key) for key in ("old", "new", "a")] == [None, "new", "a"]
    assert store.reads == 2


async def test_a_key_that_was_put_in_opens_at_once_and_strangers_cannot_make_us_ask_more_often() -> None:
    store = Store("a")
    keys = store.ring()
    store.now = 1060
    store.keys = ("a", "b")
    assert await name(keys, "b") == "b"
    assert store.reads == 2
    for second in range(100):
        store.now = 1060 + second / 10
        assert await name(keys, f"guess-{second}") is None
    assert store.reads == 2
    store.now = 1070
    assert await name(keys, "guess") is None
    assert store.reads == 3


async def test_while_the_store_fails_known_keys_hold_for_as_long_again_and_then_nobody_is_let_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store("a")
    keys = store.ring()
    store.error = ConfigurationError("The keys in ssm:x cannot be read: AccessDeniedException")
    store.now = 1599
    assert await name(keys, "a") == "a"
    assert await name(keys, "stranger") is None
    assert store.reads == 2
    store.now = 1600
    for given in ("a", "stranger"):
        with pytest.raises(Unavailable, match="cannot find out at the moment which API keys are accepted"):
            await keys.find(given.encode())
    assert [record.getMessage() for record in caplog.records] == [
        "The accepted keys could not be fetched again: The keys in ssm:x cannot be read: AccessDeniedException"
    ]
    store.error, store.now = None, 1610
    assert await name(keys, "a") == "a"


async def test_what_a_library_says_of_a_failed_fetch_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    store = Store("a")
    keys = store.ring()
    store.error, store.now = RuntimeError("quotes sk-secret"), 1300
    with caplog.at_level(logging.DEBUG):
        assert await name(keys, "a") == "a"
    assert [record.getMessage() for record in caplog.records if record.name.startswith("handler")] == [
        "The accepted keys could not be fetched again: RuntimeError"
    ]


async def test_many_requests_share_one_fetch_and_the_loop_goes_on_meanwhile() -> None:
    store = Store("a")
    keys = store.ring()
    store.gate.clear()
    store.reading.clear()
    store.now = 1300
    asking = [asyncio.create_task(name(keys, "a")) for _ in range(50)]
    await asyncio.to_thread(store.reading.wait)
    assert not any(task.done() for task in asking)
    store.gate.set()
    assert await asyncio.gather(*asking) == ["a"] * 50
    assert store.reads == 2


async def test_a_fetch_that_hangs_is_not_waited_for_longer_than_patience() -> None:
    store = Store("a")
    keys = store.ring()
    store.gate.clear()
    store.now = 1300
    assert await name(keys, "a") == "a"
    store.gate.set()


async def test_a_restored_snapshot_fetches_anew_however_young_its_keys_look() -> None:
    store = Store("of-the-snapshot")
    keys = store.ring()
    store.keys = ("of-today",)
    keys.refresh()
    assert [await name(keys, key) for key in ("of-the-snapshot", "of-today")] == [None, "of-today"]


async def test_where_a_restored_snapshot_cannot_fetch_it_lets_nobody_in() -> None:
    store = Store("of-the-snapshot")
    keys = store.ring()
    store.error = ConfigurationError("gone")
    with pytest.raises(ConfigurationError):
        keys.refresh()
    with pytest.raises(Unavailable):
        await keys.find(b"of-the-snapshot")


async def test_a_clock_that_is_set_back_makes_keys_old_and_not_eternal() -> None:
    store = Store("old")
    keys = store.ring()
    store.keys, store.now = ("new",), 500
    assert [await name(keys, key) for key in ("old", "new")] == [None, "new"]


async def test_a_time_to_live_below_the_pause_is_kept() -> None:
    store = Store("old")
    keys = store.ring(ttl=1)
    store.keys, store.now = ("new",), 1001
    assert [await name(keys, key) for key in ("old", "new")] == [None, "new"]
