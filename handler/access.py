"""The composition root's part of who is let in: settings → accepted keys, and what a restored snapshot has to renew."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handler.errors import ConfigurationError
from handler.keys import KeyRing, KeySource, StaticKeys

if TYPE_CHECKING:
    from handler.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """`keys` None: whoever reaches the server may use it. `fetch` gets the keys for the first time, and raises
    ConfigurationError where it cannot; None: they are there. `on_restore` runs first in each copy of a snapshot."""

    keys: KeySource | None
    fetch: Callable[[], None] | None = None
    on_restore: tuple[Callable[[], None], ...] = ()


def access_of(settings: "Settings") -> Access:
    """Who is let in, by the settings; asks nobody yet. Raises ConfigurationError for a list of keys that is none."""
    if settings.api_keys is not None:
        from handler.key_list import key_ring, read_key_list

        text, where = settings.api_keys.get_secret_value(), "LLM_API_KEYS"
        return Access(
            keys=StaticKeys(_checked(key_ring(read_key_list(text, where=where, public=settings.public), where=where)))
        )
    if settings.api_keys_from:
        return _kept_in_aws(settings)
    return Access(keys=None)


def _kept_in_aws(settings: "Settings") -> Access:
    from handler.aws.clients import Clients
    from handler.refreshed_keys import RefreshedKeys

    clients = Clients()

    def fetch() -> KeyRing:
        from handler.aws.secrets import read_secret
        from handler.key_list import key_ring, read_key_list

        listed = [
            key
            for place in settings.api_keys_from
            for key in read_key_list(read_secret(clients, place), where=str(place), public=settings.public)
        ]
        return _checked(key_ring(listed, where="LLM_API_KEYS_FROM"))

    keys = RefreshedKeys(fetch, ttl=settings.api_keys_ttl)
    return Access(keys=keys, fetch=keys.refresh, on_restore=(clients.drop, keys.refresh))


def _checked(ring: KeyRing) -> KeyRing:
    if limited := [key.name for key in ring.keys if key.is_limited]:
        raise ConfigurationError(f"The key of {limited[0]} has a limit, and nothing counts yet: leave the limits out")
    return ring
