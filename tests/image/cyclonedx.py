"""CycloneDX's own tools, from `.venv-tools`: what they say is in a directory, and of a document."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from image_build.recipe import ROOT

_TOOLS = ROOT / ".venv-tools" / "bin"
_VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()) or "", end="")
"""


def violations(document: Any) -> list[str]:
    """What CycloneDX's strict schema has against a document."""
    command = [str(_TOOLS / "python"), "-c", _VALIDATE]
    done = subprocess.run(command, input=json.dumps(document), capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def found_by_cyclonedx(packages: Path) -> set[str]:
    """The package URLs of the distributions in a directory, as `cyclonedx-py environment` finds them."""
    with tempfile.TemporaryDirectory() as directory:
        # It asks an interpreter for its path: this one has only the directory.
        interpreter = Path(directory) / "python"
        path = json.dumps(["", str(packages)])
        interpreter.write_text(f"#!{sys.executable}\nprint({path!r})\n")
        interpreter.chmod(0o755)
        command = [str(_TOOLS / "cyclonedx-py"), "environment", "--short-PURLs", str(interpreter)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {component["purl"] for component in json.loads(done.stdout)["components"]}
