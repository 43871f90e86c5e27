"""What a measurement was made on: processor, its features that matter here, commit, date."""

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]

# What matrix kernels choose by; a processor lists a hundred more.
_FEATURES = (
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_tile",
    "amx_int8",
    "asimddp",
    "i8mm",
    "sve",
)


@dataclass(frozen=True, slots=True)
class Machine:
    commit: str
    cpu: str
    cpu_features: tuple[str, ...]
    date: str

    @property
    def has_amx(self) -> bool:
        return "amx_int8" in self.cpu_features


def this_machine() -> Machine:
    info = _cpu_info()
    present = (info.get("flags") or info.get("Features") or "").split()
    return Machine(
        commit=_commit(),
        cpu=info.get("model name") or platform.processor() or platform.machine(),
        cpu_features=tuple(feature for feature in _FEATURES if feature in present),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def cpus(count: int) -> list[int]:
    """The first `count` CPUs that this process may use; ValueError if there are fewer."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < count:
        raise ValueError(f"{count} CPUs are needed, this process may use {len(allowed)}")
    return allowed[:count]


def _cpu_info() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; none where there is no such file."""
    path = Path("/proc/cpuinfo")
    text = path.read_text().partition("\n\n")[0] if path.exists() else ""
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _commit() -> str:
    """The commit, with a mark where tracked files differ from it."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"
