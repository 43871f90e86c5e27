"""The sums of a file whose parts arrive in any order. Pure."""

import hashlib
import threading
from collections.abc import Callable, Iterator

from handler.frozen import dataclass
from handler.manifest import PART_BYTES, FileEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The bytes from `start` to before `end` of a file. `sha256` in hex; None: only the whole has a sum."""

    index: int
    start: int
    end: int
    sha256: str | None


def parts_of(entry: FileEntry) -> Iterator[Part]:
    """In their order; none of an empty file."""
    for index, start in enumerate(range(0, entry.size, PART_BYTES)):
        yield Part(
            index=index,
            start=start,
            end=min(start + PART_BYTES, entry.size),
            sha256=entry.parts[index] if entry.parts else None,
        )


class WholeSum:
    """The sha256 of a whole file: hashed in order, by whichever thread brings the part that was waited for. Meanwhile
    the others go on bringing. Thread-safe."""

    def __init__(self, parts: int, hash_into: "Callable[[int, hashlib._Hash], None]") -> None:
        """`hash_into(index, digest)` feeds a part to the digest."""
        self._parts = parts
        self._hash_into = hash_into
        self._lock = threading.Lock()
        self._digest = hashlib.sha256()
        self._arrived: set[int] = set()
        self._next = 0
        self._hashing = False

    def arrived(self, index: int) -> str | None:
        """The sum in hex, to the caller who brings it about that all is hashed; None to all others."""
        with self._lock:
            self._arrived.add(index)
            if self._hashing:
                return None
            self._hashing = True
        while True:
            with self._lock:
                if self._next not in self._arrived:
                    self._hashing = False
                    return None
            self._hash_into(self._next, self._digest)
            with self._lock:
                self._next += 1
                if self._next == self._parts:
                    return self._digest.hexdigest()
