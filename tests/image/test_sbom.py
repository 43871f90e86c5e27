"""The bill of materials of a small tree, whole; and the same tree as CycloneDX's own tools see it."""

import hashlib
import json
from pathlib import Path

import pytest

from image_build.sbom import bill_of_materials
from tests.image.cyclonedx import found_by_cyclonedx, violations

MANIFEST = {
    "name": "Tiny",
    "source": {"kind": "hub", "id": "org/tiny", "revision": "abc123"},
    "license": "apache-2.0",
    "recipe": "int8",
}
FILES = {
    "usr/lib/os-release": 'ID=debian\nVERSION_ID="12"\n',
    "var/lib/dpkg/status": (
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9+deb12u10\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n"
    ),
    "usr/local/include/python3.11/patchlevel.h": '#define PY_MAJOR_VERSION 3\n#define PY_VERSION  "3.11.16"\n',
    "opt/python/Old_Name-1.0.dist-info/METADATA": "Name: Old_Name\nVersion: 1.0\nLicense: BSD\n\nA text.\n",
    "opt/python/new-2.0+x.dist-info/METADATA": "Name: new\nVersion: 2.0+x\nLicense-Expression: MIT OR Apache-2.0\n",
    "opt/python/classified-3.dist-info/METADATA": (
        "Name: classified\nVersion: 3\nClassifier: License :: OSI Approved :: MIT License\n"
        "Classifier: Topic :: Software\n"
    ),
    "opt/model/manifest.json": json.dumps(MANIFEST),
    "var/task/handler/__init__.py": '__version__ = "0.1.0"\n',
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def library(name: str, version: str, purl: str, *licenses: object) -> object:
    component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    return component | ({"licenses": list(licenses)} if licenses else {})


def test_all_that_is_there_is_listed(root: Path) -> None:
    assert bill_of_materials(root) == {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": "image", "name": "lambda-llm", "version": "0.1.0"}},
        "components": [
            {"type": "operating-system", "bom-ref": "operating-system", "name": "debian", "version": "12"},
            {
                "type": "machine-learning-model",
                "bom-ref": "opt/model",
                "name": "Tiny",
                "version": "abc123",
                "hashes": [
                    {"alg": "SHA-256", "content": hashlib.sha256(json.dumps(MANIFEST).encode()).hexdigest()},
                ],
                "licenses": [{"license": {"name": "apache-2.0"}}],
                "properties": [
                    {"name": "lambda-llm:source", "value": "hub:org/tiny"},
                    {"name": "lambda-llm:recipe", "value": "int8"},
                ],
            },
            library("libc6", "2.36-9+deb12u10", "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12"),
            library("python", "3.11.16", "pkg:generic/python@3.11.16"),
            library("classified", "3", "pkg:pypi/classified@3", {"license": {"name": "MIT License"}}),
            library("new", "2.0+x", "pkg:pypi/new@2.0%2Bx", {"expression": "MIT OR Apache-2.0"}),
            library("old-name", "1.0", "pkg:pypi/old-name@1.0", {"license": {"name": "BSD"}}),
        ],
    }


def test_it_is_valid(root: Path) -> None:
    assert violations(bill_of_materials(root)) == []


def test_what_is_not_cyclonedx_is_found_out(root: Path) -> None:
    """The validator that the test above asks does object."""
    assert violations(bill_of_materials(root) | {"components": [{"name": "without a type"}]})


def test_another_tool_finds_the_same_distributions(root: Path) -> None:
    listed = {component.get("purl", "") for component in bill_of_materials(root)["components"]}
    assert found_by_cyclonedx(root / "opt/python") == {purl for purl in listed if purl.startswith("pkg:pypi/")}
