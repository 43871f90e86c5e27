"""A software bill of materials: what is in a root file system, as CycloneDX 1.6 in JSON.

Read from the files that are there, not from what was asked for: every distribution of Python with its metadata, every
package in dpkg's list, every model in its manifest. The same image gives the same document: no date, no serial number.
Format: https://cyclonedx.org/docs/1.6/json/
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

Component = dict[str, Any]

_MODELS = ("opt/model", "opt/embedding-model")
_METADATA = ("*.dist-info/METADATA", "*.egg-info/PKG-INFO")
# Longer than this, a licence in the metadata is its whole text.
_LONGEST_NAME = 100


def bill_of_materials(root: Path) -> dict[str, Any]:
    """Of the image whose root file system this is."""
    components = {
        component["bom-ref"]: component
        for component in (
            *_system(root),
            *_debian_packages(root),
            *_interpreters(root),
            *_distributions(root),
            *_models(root),
        )
    }
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "container", "bom-ref": "image", "name": "lambda-llm", **_own_version(root)}
        },
        "components": [components[name] for name in sorted(components)],
    }


def _own_version(root: Path) -> dict[str, str]:
    found = re.search(r'__version__ = "([^"]+)"', (root / "var/task/handler/__init__.py").read_text())
    return {"version": found[1]} if found else {}


def _system(root: Path) -> Iterator[Component]:
    release = _os_release(root)
    yield {
        "type": "operating-system",
        "bom-ref": "operating-system",
        "name": release["ID"],
        "version": release["VERSION_ID"],
    }


def _os_release(root: Path) -> Mapping[str, str]:
    lines = (root / "usr/lib/os-release").read_text().splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def _debian_packages(root: Path) -> Iterator[Component]:
    release = _os_release(root)
    for paragraph in (root / "var/lib/dpkg/status").read_text().split("\n\n"):
        fields = HeaderParser().parsestr(paragraph)
        if fields["Status"] != "install ok installed":
            continue
        package = f"pkg:deb/{release['ID']}/{quote(fields['Package'])}@{quote(fields['Version'], safe='~:')}"
        purl = f"{package}?arch={fields['Architecture']}&distro={release['ID']}-{release['VERSION_ID']}"
        yield _library(fields["Package"], fields["Version"], purl)


def _interpreters(root: Path) -> Iterator[Component]:
    """A Python that no package manager installed, as in the official images: its own header tells its version."""
    for header in root.glob("usr/local/include/python3*/patchlevel.h"):
        found = re.search(r'^#define PY_VERSION\s+"([^"]+)"', header.read_text(), re.MULTILINE)
        if found:
            yield _library("python", found[1], f"pkg:generic/python@{found[1]}")


def _distributions(root: Path) -> Iterator[Component]:
    for place in ("opt", "usr"):
        for pattern in _METADATA:
            for path in (root / place).rglob(pattern):
                fields = HeaderParser().parsestr(path.read_text(encoding="utf-8", errors="replace"))
                name = re.sub(r"[-_.]+", "-", fields["Name"]).lower()
                component = _library(name, fields["Version"], f"pkg:pypi/{name}@{quote(fields['Version'])}")
                licenses = _licenses(fields)
                yield component | ({"licenses": licenses} if licenses else {})


def _licenses(fields: Message) -> list[dict[str, Any]]:
    """The expression where there is one, else what the author wrote, else the classifiers."""
    if expression := fields["License-Expression"]:
        return [{"expression": expression}]
    written = (fields["License"] or "").strip()
    if written and written != "UNKNOWN" and "\n" not in written and len(written) <= _LONGEST_NAME:
        return [{"license": {"name": written}}]
    classified = (line.rpartition(" :: ")[2] for line in fields.get_all("Classifier", []) if line.startswith("License"))
    return [{"license": {"name": name}} for name in sorted(set(classified))]


def _library(name: str, version: str, purl: str) -> Component:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _models(root: Path) -> Iterator[Component]:
    for place in _MODELS:
        path = root / place / "manifest.json"
        if not path.exists():
            continue
        manifest = json.loads(path.read_text())
        source = manifest["source"]
        yield {
            "type": "machine-learning-model",
            "bom-ref": place,
            "name": manifest["name"],
            **({"version": source["revision"]} if source.get("revision") else {}),
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
            **({"licenses": [{"license": {"name": manifest["license"]}}]} if manifest.get("license") else {}),
            "properties": [
                {"name": "lambda-llm:source", "value": f"{source['kind']}:{source['id']}"},
                {"name": "lambda-llm:recipe", "value": manifest["recipe"]},
            ],
        }
