"""The image, built from the Dockerfile on a base of Debian's packages: once for all tests of what is in it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from image_build.buildah import Buildah
from image_build.image import Image
from image_build.recipe import ROOT
from tests.image.jail import permitted

TAG = "localhost/lambda-llm:test"


def build(tag: str, sbom: Path, *arguments: str) -> str:
    """Runs `python -m image_build`; returns what it printed at the end."""
    command = [sys.executable, "-m", "image_build", "--base=debian", f"--tag={tag}", f"--sbom={sbom}", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the image; returns where its bill of materials is."""
    why_not = permitted()
    assert not why_not, f"the image is built and run with mounts of its own, which needs root here: {why_not}"
    sbom = tmp_path_factory.mktemp("sbom") / "sbom.json"
    build(TAG, sbom)
    return sbom


@pytest.fixture(scope="session")
def sbom(built: Path) -> Any:
    return json.loads(built.read_text())


@pytest.fixture(scope="session")
def image(built: Path) -> Iterator[Image]:
    assert built.exists()
    with Buildah().opened(TAG) as opened:
        yield opened
