"""Exported models for tests: made once by the real command, kept under `.cache/` until the exporter changes."""

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def exporter_digest() -> str:
    """A hash of everything that shapes an artefact: the exporter, the manifest, and the locked versions."""
    digest = hashlib.sha256()
    files = [
        *(ROOT / "model_export").rglob("*"),
        ROOT / "handler" / "manifest.py",
        *(ROOT / "requirements" / f"{name}.txt" for name in ("runtime", "export", "model", "optimum")),
    ]
    for path in sorted(path for path in files if path.is_file() and "__pycache__" not in path.parts):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def exported(source: str, recipe: str, *arguments: str) -> Path:
    """The directory of `source` exported with `recipe`; runs `python -m model_export` unless it is cached."""
    key = "-".join([source.replace("/", "_"), recipe, *(argument.strip("-") for argument in arguments)])
    directory = ROOT / ".cache" / "tests" / exporter_digest() / key
    if not (directory / "manifest.json").exists():
        command = [sys.executable, "-m", "model_export", source, "--recipe", recipe, "--output", str(directory)]
        subprocess.run([*command, *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return directory
