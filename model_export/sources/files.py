"""Small readers that the sources share. Every failure is one line that says what to do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model_export.errors import ExportError


def read_text(path: Path) -> str:
    """The UTF-8 text of a file. Raises ExportError where it is missing or no text."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ExportError(f"{path} is missing: download the checkpoint again") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path} cannot be read ({error}): download it again") from None


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises ExportError where the file is missing or holds none."""
    try:
        value = json.loads(read_text(path))
    except ValueError as error:
        raise ExportError(f"{path} is damaged ({error}): download it again") from None
    if not isinstance(value, dict):
        raise ExportError(f"{path} holds no JSON object: download it again")
    return value


def read_optional_json(path: Path) -> dict[str, Any]:
    """The same, empty where there is no such file."""
    return read_json(path) if path.exists() else {}


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Turns what goes wrong in reading nonsense (a key that is missing, a number out of bounds) into ExportError."""
    try:
        yield
    except (LookupError, ValueError, TypeError, ArithmeticError) as error:
        raise ExportError(f"{path} is damaged ({' '.join(str(error).split())}): download it again") from None
