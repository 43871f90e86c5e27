"""Whether an exported model's files are the ones that its manifest names. Pure but for reading them."""

import hashlib
import mmap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from handler.errors import ArtifactError
from handler.manifest import PART_BYTES, FileEntry, ModelManifest

_THREADS = 4  # more than this only fights over the disk


def verify_files(directory: Path, manifest: ModelManifest, *, full: bool) -> None:
    """Checks that every file is there and has its size, and with `full` its sha256 (about a second per GB and core).

    Raises ArtifactError that names the first file that differs and says what to do.
    """
    for name, entry in manifest.files.items():
        path = directory / name
        if not path.is_file():
            raise ArtifactError(f"{path} is missing: {_AGAIN}")
        size = path.stat().st_size
        if size != entry.size:
            raise ArtifactError(f"{path} holds {size} bytes instead of {entry.size}: {_AGAIN}")
    if full:
        with ThreadPoolExecutor(_THREADS) as pool:
            hashes = pool.map(lambda name: sha256_file(directory / name), manifest.files)
            for (name, entry), digest in zip(manifest.files.items(), hashes, strict=True):
                if digest != entry.sha256:
                    raise ArtifactError(f"{directory / name} does not have the sha256 of its manifest: {_AGAIN}")


def describe_file(path: Path, report: Callable[[int], None] = lambda _read: None) -> FileEntry:
    """The manifest's entry for a file. `report` is called with the number of bytes read since the last call."""
    size, whole, parts = path.stat().st_size, hashlib.sha256(), []
    for part in _parts(path):
        whole.update(part)
        parts.append(hashlib.sha256(part).hexdigest())
        report(len(part))
    return FileEntry(sha256=whole.hexdigest(), size=size, parts=tuple(parts) if len(parts) > 1 else ())


def sha256_file(path: Path) -> str:
    """The file's sha256 in hex.

    In one call over its mapped pages: it copies nothing, and asks for the GIL once. Who imports beside it gives that
    back up to 5 ms later.
    """
    with path.open("rb") as file:
        if path.stat().st_size == 0:  # which cannot be mapped
            return hashlib.sha256().hexdigest()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
            return hashlib.sha256(pages).hexdigest()


def _parts(path: Path) -> Iterator[memoryview]:
    """The file in parts of `PART_BYTES`; each is overwritten by the next."""
    with path.open("rb") as file, memoryview(bytearray(min(PART_BYTES, path.stat().st_size))) as part:
        while part and (count := file.readinto(part)):
            yield part[:count]


_AGAIN = "it was damaged or changed after the export: export the model again"
