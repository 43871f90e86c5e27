"""Facts about FastAPI without its models of an OpenAPI document: in a process of its own, since this one has them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_application_is_made_without_them() -> None:
    told = python(
        "from handler.api.no_openapi import leave_out_openapi\n"
        "leave_out_openapi()\n"
        "from handler.api.app import create_app\n"
        "import sys, fastapi.openapi.models as models\n"
        "print(create_app({}).openapi_url, hasattr(models, '__file__'), hasattr(models.OpenAPI, 'model_fields'))"
    )
    assert told == "None False False\n"


def test_fastapi_that_is_imported_already_stays_as_it_is() -> None:
    told = python(
        "import fastapi\n"
        "from handler.api.no_openapi import leave_out_openapi\n"
        "leave_out_openapi()\n"
        "import fastapi.openapi.models as models\n"
        "print(hasattr(models.OpenAPI, 'model_fields'))"
    )
    assert told == "True\n"


def test_a_name_that_is_not_there_is_an_import_error() -> None:
    told = python(
        "from handler.api.no_openapi import leave_out_openapi\n"
        "leave_out_openapi()\n"
        "try:\n"
        "    from fastapi.openapi.models import Schema\n"
        "except ImportError as error:\n"
        "    print('ImportError')"
    )
    assert told == "ImportError\n"
