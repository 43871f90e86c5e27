"""Facts about endpoints that most processes are never asked for: they are imported with their first request."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LATE = ("responses.endpoint", "completion_endpoint", "embedding_endpoint", "tokenize_endpoint")


@pytest.mark.parametrize(
    "module", [f"handler.api.{name}" for name in LATE] + ["jinja2", "llguidance", "uvicorn", "boto3"]
)
def test_the_application_alone_does_not_import_it(module: str) -> None:
    code = f"import handler.api.app, sys; print({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
