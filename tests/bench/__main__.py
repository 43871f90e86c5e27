"""`python -m tests.bench [NAME…] [--quick]`: the named benches, or all, one after the other; then the report."""

import argparse
import os
import subprocess
import sys

from tests.bench.machine import ROOT

BENCHES = (
    "memory",
    "quality",
    "decode",
    "prefill",
    "startup",
    "first_token",
    "overhead",
    "formats",
    "copying",
    "second_turn",
    "choices",
    "batching",
    "store",
)


def main() -> int:
    """Returns 1 if a bench failed as a whole; the others run all the same."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--quick", action="store_true", help="one short round of each: does everything run?")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHES):
        parser.error(f"there is no bench named {min(unknown)}: choose among {', '.join(BENCHES)}")
    # The peers that are built on onnxruntime would report to its makers, and one thread more would be measured.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    failed = []
    for name in options.names or BENCHES:
        command = [sys.executable, "-m", f"tests.bench.{name}", *(["--quick"] if options.quick else [])]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
    subprocess.run([sys.executable, "-m", "tests.bench.report"], cwd=ROOT, check=False)
    if failed:
        print(f"Failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
