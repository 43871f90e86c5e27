"""The bill of materials of the built image, beside what others say of it. Run by `make test-image`."""

from typing import Any

from image_build.image import Image
from tests.image.cyclonedx import found_by_cyclonedx, violations


def test_it_is_valid(sbom: Any) -> None:
    assert violations(sbom) == []


def test_it_lists_the_distributions_that_another_tool_finds(image: Image, sbom: Any) -> None:
    purls = {component["purl"] for component in sbom["components"] if component["type"] == "library"}
    found = found_by_cyclonedx(image.root / "opt/python")
    assert len(found) > 30
    assert found <= purls
    # Beside them only what the base brings along for itself.
    rest = {purl.partition("@")[0] for purl in purls - found if purl.startswith("pkg:pypi/")}
    assert rest <= {"pkg:pypi/pip", "pkg:pypi/setuptools", "pkg:pypi/wheel"}


def test_it_lists_every_package_of_the_base(image: Image, sbom: Any) -> None:
    listed = {component["name"] for component in sbom["components"] if component.get("purl", "").startswith("pkg:deb/")}
    lists = {path.name.partition(".list")[0].partition(":")[0] for path in image.root.glob("var/lib/dpkg/info/*.list")}
    assert listed == lists


def test_it_lists_the_system_and_the_model(sbom: Any) -> None:
    others = {
        component["type"]: component["name"] for component in sbom["components"] if component["type"] != "library"
    }
    assert others == {"operating-system": "debian", "machine-learning-model": "SmolLM2-135M-Instruct"}
