"""All files of a model, in parts and in parallel, into memory. A part that is damaged or breaks off is read again.

Every byte is hashed twice: with its part while it arrives, so that little has to be read again, and with its file.
"""

import hashlib
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Protocol

from handler.aws.store.arriving import ArrivingFile
from handler.aws.store.faults import Damaged, Interrupted, given_up
from handler.aws.store.patience import Patience
from handler.aws.store.sums import Part
from handler.errors import ArtifactError
from handler.location import S3Location
from handler.manifest import ModelManifest
from handler.memory_files import MemoryDirectory

# Four reads of 16 MB at a time were 2.4 to 3.1 times as fast as `download_file`; the fifth is for the small files.
_THREADS = 5
_WHOLE_FILES = 3  # how often a file whose parts have no sums is read before it is given up


class Objects(Protocol):
    """Where the bytes come from, as `handler.aws.store.bucket.Bucket` says. Thread-safe."""

    def read(
        self, name: str, start: int, end: int, check: Callable[[str, int], None]
    ) -> Generator[bytes, None, None]: ...

    def close(self) -> None: ...


class _Stopped(Exception):
    """Another part has failed for good, or nobody wants the files any more."""


class Download:
    """A model's files, on their way from the moment that this is made. A `ModelFiles`."""

    def __init__(
        self, objects: Objects, location: S3Location, manifest: ModelManifest, *, patience: Patience | None = None
    ) -> None:
        """Raises ConfigurationError where files cannot lie in memory."""
        self._objects = objects
        self._patience = patience or Patience()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.fetched: int | None = 0
        self._memory = MemoryDirectory()
        self._files = {
            name: ArrivingFile(name, location.url(name), entry, self._memory.create(name, entry.size))
            for name, entry in manifest.files.items()
        }
        self._threads = ThreadPoolExecutor(_THREADS, "store")
        # The small ones first: the tokenizer is made while the weights are still on their way.
        for file in sorted(self._files.values(), key=lambda file: file.entry.size):
            self._order(file)

    @property
    def directory(self) -> Path:
        return self._memory.path

    def wait(self, *names: str) -> None:
        for name in names or self._files:
            if name not in self._files:
                raise ArtifactError(f"The manifest lists no sum of {name}: export the model again")
            self._files[name].done.result()

    def verify(self) -> None:
        self.wait()

    def close(self) -> None:
        self._fail(_Stopped("the files are needed no more"))
        self._threads.shutdown(cancel_futures=True)
        self._objects.close()
        self._memory.close()

    def _order(self, file: ArrivingFile) -> None:
        """Has all parts of a file brought."""
        if not file.parts:
            self._finish(file, hashlib.sha256().hexdigest() == file.entry.sha256)
        for part in file.parts:
            self._threads.submit(self._bring, file, part)

    def _bring(self, file: ArrivingFile, part: Part) -> None:
        """A thread's work. Whatever fails is told to all who wait, and nobody waits for more."""
        try:
            self._read(file, part)
            right = file.arrived(part)
            if right is not None:
                self._finish(file, right)
        except _Stopped:
            pass
        except Exception as error:
            self._fail(error)

    def _read(self, file: ArrivingFile, part: Part) -> None:
        """Brings one part, and goes on where the connection broke.

        Raises ArtifactError for what is not as the manifest says, ConfigurationError when patience is at its end.
        """
        failures, at, digest = 0, part.start, hashlib.sha256()
        while True:
            try:
                with closing(self._objects.read(file.name, at, part.end, file.check)) as blocks:
                    for block in blocks:
                        if self._stop.is_set():
                            raise _Stopped
                        kept = block[: part.end - at]
                        digest.update(kept)
                        file.write(kept, at)
                        at += len(kept)
                        self._count(len(kept))
                if at < part.end:
                    raise Interrupted("the answer was too short")
                if part.sha256 in (None, digest.hexdigest()):
                    return
                at, digest = part.start, hashlib.sha256()
                raise Damaged(f"the sum of part {part.index + 1} of {len(file.parts)} is not the manifest's")
            except Interrupted as error:
                failures += 1
                if failures == self._patience.attempts:
                    raise given_up(file.url, failures, error) from None
                if self._stop.wait(self._patience.pause(failures)):
                    raise _Stopped from None

    def _finish(self, file: ArrivingFile, right: bool) -> None:
        if right:
            with self._lock:
                if not file.done.done():
                    file.done.set_result(None)
        elif file.entry.parts or file.starts == _WHOLE_FILES:
            self._fail(
                ArtifactError(
                    f"{file.url} does not have the sha256 of its manifest: publish the model again, to a prefix of its"
                    " own"
                )
            )
        else:
            file.start()
            self._order(file)

    def _fail(self, error: Exception) -> None:
        """The first failure is what all hear of whose file is not there yet."""
        self._stop.set()
        with self._lock:
            for file in self._files.values():
                if not file.done.done():
                    file.done.set_exception(error)

    def _count(self, size: int) -> None:
        with self._lock:
            self.fetched = (self.fetched or 0) + size
