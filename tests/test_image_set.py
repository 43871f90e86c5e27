"""What goes into the image: neither torch nor the exporter, and everything pinned with its hash."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def names(lock: str) -> set[str]:
    text = (ROOT / "requirements" / lock).read_text()
    return {match[1].lower() for match in re.finditer(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE)}


def test_the_runtime_set_holds_no_exporter() -> None:
    assert not names("runtime.txt") & {
        "torch",
        "optimum",
        "optimum-onnx",
        "transformers",
        "onnx",
        "gguf",
        "safetensors",
    }


def test_the_direct_exporter_needs_no_torch() -> None:
    assert not names("export.txt") & {"torch", "optimum", "optimum-onnx", "transformers"}


def test_every_runtime_requirement_has_a_hash() -> None:
    text = (ROOT / "requirements" / "runtime.txt").read_text()
    assert len(re.findall(r"^\S+==\S+ \\\n    --hash=sha256:", text, re.MULTILINE)) == len(names("runtime.txt")) > 0


def test_no_package_has_two_versions() -> None:
    pins: dict[str, set[str]] = {}
    for lock in ("runtime.txt", "export.txt", "optimum.txt", "dev.txt"):
        for match in re.finditer(r"^([A-Za-z0-9_.-]+)==([^ \\\n]+)", (ROOT / "requirements" / lock).read_text(), re.M):
            pins.setdefault(match[1].lower(), set()).add(match[2])
    assert {name: found for name, found in pins.items() if len(found) > 1} == {}
