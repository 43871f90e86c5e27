"""Other programs: run, with their output shown or returned, and one line where they fail."""

import shutil
import subprocess
from collections.abc import Callable, Sequence

from image_build.recipe import BuildError

Run = Callable[[Sequence[str]], str]


def show(command: Sequence[str]) -> str:
    """Runs a command whose output people follow; returns nothing of it. Raises BuildError."""
    _run(command, captured=False)
    return ""


def ask(command: Sequence[str]) -> str:
    """Runs a command for what it prints, without the last line break. Raises BuildError."""
    return _run(command, captured=True).stdout.strip()


def installed(program: str) -> bool:
    """Whether there is such a program."""
    return shutil.which(program) is not None


def _run(command: Sequence[str], *, captured: bool) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, check=True, capture_output=captured, text=True)
    except FileNotFoundError:
        raise BuildError(f"{command[0]} is not installed: apt-get install {command[0]}") from None
    except subprocess.CalledProcessError as error:
        said = f": {error.stderr.strip()}" if captured else ", and said why above"
        raise BuildError(f"{command[0]} failed ({error.returncode}){said}") from None
