"""An arm64 system in a directory: Debian's Python and the wheels that `handler.ort` needs, at the locked versions.

Nothing is installed on this machine. Packages come from apt, which has to know the architecture:
`dpkg --add-architecture arm64 && apt-get update`.
"""

import re
import subprocess
import sys
from pathlib import Path

_DEBIAN = (
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "libstdc++6", "libgcc-s1"),
    *("zlib1g", "libexpat1", "libssl3", "libffi8", "libbz2-1.0", "liblzma5", "libsqlite3-0", "libncursesw6"),
    *("libtinfo6", "libuuid1"),
)
_WHEELS = (
    *("annotated-types", "flatbuffers", "numpy", "onnxruntime", "packaging", "protobuf", "pydantic", "pydantic-core"),
    *("typing-extensions", "typing-inspection"),
)
_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
_LOCKED = Path(__file__).parents[2] / "requirements" / "runtime.txt"

SITE = "site"
PYTHON = "usr/bin/python3.11"


def install(root: Path) -> None:
    """Fills `root`, once. Raises CalledProcessError if apt or pip cannot."""
    installed = root / "installed"
    if installed.exists():
        return
    packages = root / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    _run(["apt-get", "download", *(f"{name}:arm64" for name in _DEBIAN)], packages)
    for package in packages.iterdir():
        _run(["dpkg-deb", "-x", str(package.name), str(root)], packages)
    wanted = root / "requirements.txt"
    wanted.write_text("".join(_locked(name) for name in _WHEELS))
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--python-version=3.11"]
    platforms = [f"--platform={platform}" for platform in _PLATFORMS]
    _run([*pip, *platforms, "--target", str(root / SITE), "-r", str(wanted)], root)
    installed.touch()


def describe(root: Path, part: str) -> None:
    """Where onnxruntime looks for its processor: a core of Arm with that part number. Emulation has no such file, and
    onnxruntime crashes for want of it. What instructions there are, it asks the emulated kernel."""
    lines = (
        "processor : 0",
        "CPU implementer : 0x41",
        "CPU architecture: 8",
        "CPU variant : 0x1",
        f"CPU part : {part}",
    )
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc" / "cpuinfo").write_text("\n".join((*lines, "CPU revision : 1", "", "")))


def _locked(name: str) -> str:
    """The requirement's lines, hashes included."""
    found = re.search(rf"^{name}==.*\n(?:    .*\n)*", _LOCKED.read_text(), re.MULTILINE)
    assert found, name
    return re.sub(r" *#.*", "", found[0])


def _run(command: list[str], directory: Path) -> None:
    subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True)
