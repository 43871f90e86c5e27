"""The composition root's part of who is let in, and how far: settings → accepted keys, the counter of their limits, and
what a restored snapshot has to renew."""

from collections.abc import Callable, Iterable
from dataclasses import field
from typing import TYPE_CHECKING

from handler.counter import Counter, MemoryCounter
from handler.errors import ConfigurationError
from handler.frozen import dataclass
from handler.keys import Key, KeyRing, KeySource, StaticKeys

if TYPE_CHECKING:
    from handler.aws.counter import DynamoCounter
    from handler.settings import Settings

Action = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """`keys` None: whoever reaches the server may use it. `counter`: of the keys' limits.

    `prepare` runs once, beside the model's loading, and raises ConfigurationError where there are no usable keys; None:
    there is nothing to do. `on_restore` runs first in each copy of a snapshot.
    """

    keys: KeySource | None
    counter: Counter = field(default_factory=MemoryCounter)
    prepare: Action | None = None
    on_restore: tuple[Action, ...] = ()


def access_of(settings: "Settings", *, on_lambda: bool) -> Access:
    """Who is let in, by the settings; asks nobody yet. Raises ConfigurationError for a list of keys that is none, and
    for limits that would not hold."""
    table = _table(settings)
    holds = table is not None or not on_lambda
    if settings.api_keys is not None:
        return _in_the_settings(settings, settings.api_keys.get_secret_value(), table, limits_hold=holds)
    if settings.api_keys_from:
        return _kept_in_aws(settings, table, limits_hold=holds)
    return Access(keys=None)


def _table(settings: "Settings") -> "DynamoCounter | None":
    if settings.quota_table is None:
        return None
    from handler.aws.counter import DynamoCounter

    return DynamoCounter(settings.quota_table)


def _in_the_settings(settings: "Settings", text: str, table: "DynamoCounter | None", *, limits_hold: bool) -> Access:
    from handler.key_list import read_key_list

    where = "LLM_API_KEYS"
    ring = _ring(read_key_list(text, where=where, public=settings.public), where, limits_hold=limits_hold)
    if table is None or not ring.has_limits:
        return Access(keys=StaticKeys(ring))

    def renew() -> None:
        table.drop()
        table.connect()

    return Access(keys=StaticKeys(ring), counter=table, prepare=table.connect, on_restore=(renew,))


def _kept_in_aws(settings: "Settings", table: "DynamoCounter | None", *, limits_hold: bool) -> Access:
    from handler.aws.clients import Clients
    from handler.refreshed_keys import RefreshedKeys

    clients = Clients()

    def fetch() -> KeyRing:
        from handler.aws.secrets import read_secret
        from handler.key_list import read_key_list

        listed = [
            key
            for place in settings.api_keys_from
            for key in read_key_list(read_secret(clients, place), where=str(place), public=settings.public)
        ]
        ring = _ring(listed, "LLM_API_KEYS_FROM", limits_hold=limits_hold)
        if table is not None and ring.has_limits:
            table.connect()
        return ring

    keys = RefreshedKeys(fetch, ttl=settings.api_keys_ttl)

    def renew() -> None:
        clients.drop()
        if table is not None:
            table.drop()
        keys.refresh()

    counter: Counter = MemoryCounter() if table is None else table
    return Access(keys=keys, counter=counter, prepare=keys.refresh, on_restore=(renew,))


def _ring(listed: Iterable[Key], where: str, *, limits_hold: bool) -> KeyRing:
    from handler.key_list import key_ring

    ring = key_ring(listed, where=where)
    if ring.has_limits and not limits_hold:
        # Every copy of the function would count for itself, and forget.
        raise ConfigurationError(
            f"{where} has keys with limits, and no table is there to count in: set LLM_QUOTA_TABLE, or leave"
            " the limits out"
        )
    return ring
