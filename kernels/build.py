"""kernels/*.c → handler/ort/libkernels.so: `python -m kernels.build [LIBRARY]`, by a compiler that comes as a package.

Whoever compiles, wherever, gets the same bytes: the compiler is pinned, and brings its own headers of the C library.
Needs the standard library and requirements/kernels.txt.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "kernels" / "operators.c"  # it includes all the others
LIBRARY = ROOT / "handler" / "ort" / "libkernels.so"  # not kernels.so: it would be imported for kernels.py

# The oldest C library that the compiler's package itself is made for: every system where onnxruntime runs has a newer.
_GLIBC = "2.17"
_FLAGS = (
    f"--target=x86_64-linux-gnu.{_GLIBC}",
    *("-std=gnu11", "-O3", "-mavx2", "-mfma"),
    "-ffp-contract=off",  # what is fused is written so: kernels that must agree to the bit do
    "-fstack-clash-protection",  # a panel that does not fit the stack ends the process, and nothing else
    "-fno-math-errno",  # a square root is an instruction, and no call
    "-fno-sanitize=all",  # the compiler's own default has some
    *("-shared", "-fPIC", "-fvisibility=hidden", "-s"),
    *("-Wall", "-Wextra", "-Werror"),
)
# It compiles its stubs of the C library once, which takes seconds.
_CACHE = ROOT / ".cache" / "zig"


class BuildError(Exception):
    """The library cannot be built; the message says why."""


def main() -> int:
    """Exit status: 1 if there is no library where there should be one."""
    cli = argparse.ArgumentParser(prog="python -m kernels.build", description="kernels/*.c → a library")
    cli.add_argument("library", nargs="?", type=Path, default=LIBRARY, help="where it goes (handler/ort/libkernels.so)")
    library: Path = cli.parse_args().library
    if not built_for(platform.system(), platform.machine()):
        print("kernels: ONNX Runtime's own on this machine")
        return 0
    began = time.monotonic()
    try:
        build(library)
    except BuildError as error:
        print(f"kernels: {error}", file=sys.stderr)
        return 1
    print(f"kernels: {library.name}, {library.stat().st_size // 1024} KB in {time.monotonic() - began:.1f} s")
    return 0


def built_for(system: str, machine: str) -> bool:
    """Whether such a machine may have a processor that the kernels are for. Both as `platform` names them."""
    return (system, machine) == ("Linux", "x86_64")


def build(library: Path, source: Path = SOURCE) -> None:
    """Compiles, and puts the library into its place whole: who loads it meanwhile has the one before.

    Raises BuildError with what the compiler says.
    """
    if find_spec("ziglang") is None:
        raise BuildError("the compiler is not installed: pip install --require-hashes -r requirements/kernels.txt")
    caches = {f"ZIG_{scope}_CACHE_DIR": str(_CACHE) for scope in ("GLOBAL", "LOCAL")}
    with tempfile.TemporaryDirectory(prefix=".kernels-", dir=library.parent) as directory:
        made = Path(directory, library.name)
        command = [sys.executable, "-m", "ziglang", "cc", *_FLAGS, "-o", str(made), str(source)]
        done = subprocess.run(command, env=os.environ | caches, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise BuildError(f"{source.name} does not compile\n{done.stderr}")
        made.replace(library)


if __name__ == "__main__":
    sys.exit(main())
