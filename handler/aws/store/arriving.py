"""One file on its way: where its bytes go, its sums, and who waits for it."""

import hashlib
import mmap
import os
import threading
from concurrent.futures import Future

from handler.aws.store.sums import Part, WholeSum, parts_of
from handler.errors import ArtifactError
from handler.manifest import FileEntry


class ArrivingFile:
    """Threads write its parts, in any order; `done` is told when the whole is the file of the manifest."""

    def __init__(self, name: str, url: str, entry: FileEntry, descriptor: int) -> None:
        self.name = name
        self.url = url
        self.entry = entry
        self.parts = list(parts_of(entry))
        self.done: Future[None] = Future()
        self.starts = 0  # how often it has been read from the beginning
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._etag: str | None = None
        self.start()

    def start(self) -> None:
        """Nothing has arrived, or nothing counts of what has."""
        self.starts += 1
        self._sum = WholeSum(len(self.parts), self._hash_part)

    def check(self, etag: str, size: int) -> None:
        """Called for each answer, before its bytes: all are to be of one object, as large as the manifest says."""
        if size != self.entry.size:
            raise ArtifactError(
                f"{self.url} holds {size} bytes instead of {self.entry.size}: publish the model again, to a prefix of"
                " its own"
            )
        with self._lock:
            if self._etag is None:
                self._etag = etag
        if self._etag != etag:
            raise ArtifactError(f"{self.url} was replaced while it was read: publish a model to a prefix of its own")

    def write(self, block: bytes, at: int) -> None:
        written = 0
        while written < len(block):
            written += os.pwrite(self._descriptor, block[written:], at + written)

    def arrived(self, part: Part) -> bool | None:
        """Whether the whole is right, told to the caller who brings it about that this is known; None to all others."""
        whole = self._sum.arrived(part.index)
        return None if whole is None else whole == self.entry.sha256

    def _hash_part(self, index: int, digest: "hashlib._Hash") -> None:
        part = self.parts[index]
        # PART_BYTES is a multiple of every page size, which a mapping has to begin at.
        with (
            mmap.mmap(self._descriptor, part.end - part.start, prot=mmap.PROT_READ, offset=part.start) as mapped,
            memoryview(mapped) as view,
        ):
            digest.update(view)
