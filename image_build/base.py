"""A base of Debian's packages, made by mmdebstrap where no registry is at hand: the same release and series of Python.

It stands in for the pinned image in what this project does on top: a Debian with `python`, pip and no compiler, and, as
in that image, no bytecode of the standard library. Python's patch level is Debian's.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

RELEASE = "bookworm"
PACKAGES = ("ca-certificates", "netbase", "python-is-python3", "python3", "python3-pip", "tzdata")
# As in Debian's own slim images; copyright files stay.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
_KEPT = ("/usr/share/doc/*/copyright",)
ENVIRONMENT = {"LANG": "C.UTF-8"}


def mmdebstrap(directory: Path) -> list[str]:
    """The command that fills `directory`, as root."""
    return [
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--format=directory",
        "--variant=minbase",
        "--skip=output/dev",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT),
        *(f"--dpkgopt=path-include={path}" for path in _KEPT),
        # pip installs into the system's own directory in the stage that exports: nothing else lives in it.
        '--customize-hook=rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
        '--customize-hook=find "$1/usr" -name __pycache__ -prune -exec rm -rf {} +',
        RELEASE,
        str(directory),
    ]


def tag(command: Sequence[str]) -> str:
    """A name that is another one when the command is."""
    return f"localhost/lambda-llm-base:{hashlib.sha256(repr(command).encode()).hexdigest()[:12]}"
