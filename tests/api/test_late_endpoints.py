"""Facts about what most processes are never asked for: it is imported with the first request that needs it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LATE = ("responses.endpoint", "completion_endpoint", "embedding_endpoint", "tokenize_endpoint")
SCHEMAS = ("handler.engine.json_schema", "handler.engine.lark_text")
LIBRARIES = ("jinja2", "llguidance", "uvicorn", "boto3", "pydantic.v1")


@pytest.mark.parametrize("module", [*(f"handler.api.{name}" for name in LATE), *SCHEMAS, *LIBRARIES])
def test_the_application_alone_does_not_import_it(module: str) -> None:
    code = f"import handler.api.app, sys; handler.api.app.create_app({{}}); print({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
