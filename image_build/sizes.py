"""How large an image is: by part, as files and as a registry holds it, and what is too large."""

import io
import os
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

# Directories of the image; the base is all the rest.
PLACES = {
    "packages": "opt/python",
    "model": "opt/model",
    "embedding model": "opt/embedding-model",
    "handler": "var/task",
}
BASE = "base"

# Bytes. Lambda's own bound, for all layers uncompressed.
LAMBDA_LIMIT = 10 * 10**9
# A tenth to a fifth above what they are: whoever adds a package, or data to one, does it knowingly. Models have none of
# their own: how large they are is the deployer's choice.
BOUNDS = {BASE: 220 * 10**6, "packages": 175 * 10**6, "handler": 5 * 10**6}
# Of gzip, as Docker and buildah push.
_LEVEL = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """`size`: bytes of its files; `compressed`: bytes of their archive in a registry."""

    name: str
    files: int
    size: int
    compressed: int


def measure(root: Path) -> tuple[Part, ...]:
    """The parts of the image whose root file system this is; those that are empty are left out."""
    places = {root / place: name for name, place in PLACES.items()}
    with ThreadPoolExecutor(len(places) + 1) as threads:
        base = threads.submit(_part, BASE, root, set(places))
        others = [threads.submit(_part, name, place, set()) for place, name in places.items()]
        return tuple(part for part in (done.result() for done in (base, *others)) if part.files)


def beyond(parts: Sequence[Part]) -> list[str]:
    """What is too large, one sentence each."""
    total = sum(part.size for part in parts)
    told = [
        f"{part.name}: {_mb(part.size)} MB, and its bound is {_mb(BOUNDS[part.name])} MB (image_build/sizes.py)"
        for part in parts
        if part.size > BOUNDS.get(part.name, LAMBDA_LIMIT)
    ]
    if total > LAMBDA_LIMIT:
        told.append(f"together {_mb(total)} MB, and Lambda takes {_mb(LAMBDA_LIMIT)}: a smaller recipe, or MODEL=none")
    return told


def table(parts: Sequence[Part]) -> str:
    """The parts and their sum, in MB."""
    total = Part(
        name="together",
        files=sum(part.files for part in parts),
        size=sum(part.size for part in parts),
        compressed=sum(part.compressed for part in parts),
    )
    rows = [f"{'MB':<16}{'files':>8}{'on disk':>9}{'in a registry':>15}"]
    rows += [f"{p.name:<16}{p.files:>8}{_mb(p.size):>9}{_mb(p.compressed):>15}" for p in (*parts, total)]
    return "\n".join(rows)


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f}"


def _part(name: str, directory: Path, left_out: set[Path]) -> Part:
    files = size = 0
    counted = _Compressed()
    with tarfile.open(fileobj=counted, mode="w|") as archive:
        for path in _below(directory, left_out):
            info = archive.gettarinfo(path)
            if not info.isreg():
                archive.addfile(info)
                continue
            files, size = files + 1, size + info.size
            with path.open("rb") as file:
                archive.addfile(info, file)
    return Part(name=name, files=files, size=size, compressed=counted.finish())


def _below(directory: Path, left_out: set[Path]) -> Iterator[Path]:
    for place, names, files in os.walk(directory):
        names[:] = sorted(name for name in names if Path(place, name) not in left_out)
        yield from (Path(place, name) for name in sorted([*names, *files]))


class _Compressed(io.RawIOBase):
    """A file that keeps nothing but its length after gzip."""

    def __init__(self) -> None:
        self._gzip = zlib.compressobj(_LEVEL, wbits=31)  # 31: with gzip's frame
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: "Buffer", /) -> int:
        self._size += len(self._gzip.compress(data))
        return memoryview(data).nbytes

    def finish(self) -> int:
        """Bytes in all."""
        return self._size + len(self._gzip.flush())
