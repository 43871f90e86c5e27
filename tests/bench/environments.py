"""Environments of the peers, made on demand under `.cache/bench/`, so that none meets the product's versions."""

import hashlib
import subprocess
import sys
from pathlib import Path

from tests.bench.command import Missing
from tests.bench.machine import ROOT

CACHE = ROOT / ".cache" / "bench"
_MINUTES = 60


def python(name: str) -> Path:
    """The interpreter that has what `requirements/peer-NAME.txt` lists; this one for an empty name.

    Raises Missing with the installer's last words if it cannot be made.
    """
    if not name:
        return Path(sys.executable)
    requirements = ROOT / "requirements" / f"peer-{name}.txt"
    directory = CACHE / name
    interpreter, stamp = directory / "bin" / "python", directory / ".installed"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Installing {name} in {directory.relative_to(ROOT)} (once)", flush=True)
        run([sys.executable, "-m", "venv", str(directory)], f"no environment for {name}")
        # The list is complete: what a peer asks for and does not need here (torchvision) stays out.
        install = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        run([*install, "-r", str(requirements)], f"{name} cannot be installed")
        stamp.write_text(wanted)
    return interpreter


def run(command: list[str], what: str) -> None:
    """Runs a command from the root of the repository; raises Missing with its last line of complaint."""
    try:
        subprocess.run(
            command, cwd=ROOT, check=True, capture_output=True, text=True, errors="replace", timeout=60 * _MINUTES
        )
    except subprocess.CalledProcessError as error:
        raise Missing(f"{what}: {last_words(error.stderr or error.stdout, error.returncode)}") from None
    except (subprocess.TimeoutExpired, OSError) as error:
        raise Missing(f"{what}: {type(error).__name__}") from None


def last_words(text: str, status: int | None) -> str:
    """The last line that says something, without this machine's paths, else how the process ended."""
    lines = [line.strip() for line in text.replace(f"{ROOT}/", "").splitlines() if line.strip()]
    if status is not None and status < 0:
        return f"ended by signal {-status}"
    return lines[-1][:200] if lines else f"exit status {status}"
