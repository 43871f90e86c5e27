"""Whether memory and file descriptors are flat: what is read from the samples of one process. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

# What the second quarter may gain until the last. The allocator and the interpreter round and cache: a process that
# leaks nothing wanders by a few megabytes. A leak of a kilobyte a request is hidden by it; one of ten is not.
MOST_GROWTH = 8 * 2**20  # bytes
MOST_DESCRIPTORS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Of a process, after so many requests. `resident` in bytes."""

    requests: int
    resident: int
    descriptors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatness:
    """Medians of the last quarter of the samples less those of the second. The first is warm-up: the prefix cache
    fills, each kind of request is met for the first time, the allocator finds its size. Medians, so that a sample
    taken in the middle of a large answer does not count."""

    resident: int
    descriptors: int

    @property
    def is_flat(self) -> bool:
        return self.resident <= MOST_GROWTH and self.descriptors <= MOST_DESCRIPTORS


def flatness(samples: Sequence[Sample]) -> Flatness:
    """Of at least eight samples. Raises ValueError for fewer."""
    quarter = len(samples) // 4
    if quarter < 2:
        raise ValueError(f"{len(samples)} samples are too few to tell a leak from noise: ask for more requests")
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    return Flatness(
        resident=round(median(s.resident for s in last) - median(s.resident for s in second)),
        descriptors=round(median(s.descriptors for s in last) - median(s.descriptors for s in second)),
    )
