"""Plans of the template as it is, translated once by SAM's own translator."""

import json
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pytest

from deployment.document import read_template
from deployment.plan import Plan, make_plan
from tests.template.places import ROOT, TOOLS_PYTHON

STACK, REGION = "stack", "eu-central-1"

_TRANSLATE = """
import json, sys
from pathlib import Path
from deployment.document import read_template
from deployment.translation import translate
template = read_template(Path("template.yaml"))
print(json.dumps([translate(template, given, region=sys.argv[1]) for given in json.load(sys.stdin)]))
"""


def translated(*given: Mapping[str, str]) -> list[dict[str, Any]]:
    """What SAM makes of the template for each set of parameters. Its translator is in the SAM CLI's environment."""
    done = subprocess.run(
        [TOOLS_PYTHON, "-c", _TRANSLATE, REGION],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return list(json.loads(done.stdout))


@cache
def _template() -> tuple[dict[str, Any], dict[str, Any]]:
    (whole,) = translated({})
    return read_template(ROOT / "template.yaml"), whole


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    return _template()[0]


@pytest.fixture(scope="session")
def cloudformation() -> dict[str, Any]:
    """The translated template, unevaluated."""
    return _template()[1]


@pytest.fixture(scope="session")
def plan() -> Callable[..., Plan]:
    """`plan(AuthType="NONE", …)`: what the template leads to with these parameters."""

    def of(**given: str) -> Plan:
        return make_plan(*_template(), given, stack_name=STACK, region=REGION)

    return of
