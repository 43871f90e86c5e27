"""Files that lie in memory: named like files, read like files, and never written to a disk.

Lambda has no `/dev/shm` to speak of and 512 MB of disk, so they are Linux's memfds. What wants a path gets one: a
private directory of links to `/proc/self/fd`. A SnapStart snapshot holds them as it holds all memory.
"""

import os
import shutil
import tempfile
import weakref
from pathlib import Path

from handler.errors import ConfigurationError

_DESCRIPTORS = "/proc/self/fd/"


class MemoryDirectory:
    """A directory of files in memory. What is mapped from a file stays when the directory is closed."""

    def __init__(self) -> None:
        """Raises ConfigurationError where the system has no such files, or no place for the directory."""
        if not hasattr(os, "memfd_create"):
            raise ConfigurationError(
                "Models are read from S3 into Linux's memory files: on this system, download the model and name its"
                " directory"
            )
        try:
            self.path = Path(tempfile.mkdtemp(prefix="lambda-llm-"))
        except OSError as error:
            raise ConfigurationError(
                f"There is no place for a directory of links ({error}): let TMPDIR name one that can be written"
            ) from None
        self._descriptors: list[int] = []
        self._finalizer = weakref.finalize(self, _remove, self.path, self._descriptors)

    def create(self, name: str, size: int) -> int:
        """A new file of `size` bytes, all zero. Returns the descriptor to write it with, which `close` closes.

        `name` may lie in a subdirectory.
        """
        descriptor = os.memfd_create(name)
        self._descriptors.append(descriptor)
        os.truncate(descriptor, size)
        link = self.path / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"{_DESCRIPTORS}{descriptor}")
        return descriptor

    def close(self) -> None:
        """The names go now, the memory of a file when nothing maps it any more."""
        self._finalizer()


def in_memory(path: Path) -> bool:
    """Whether a path leads to such a file: who follows its link to the end finds no path there."""
    return path.is_symlink() and str(path.readlink()).startswith(_DESCRIPTORS)


def _remove(path: Path, descriptors: list[int]) -> None:
    shutil.rmtree(path, ignore_errors=True)
    while descriptors:
        os.close(descriptors.pop())
