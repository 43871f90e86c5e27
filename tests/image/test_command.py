"""`python -m image_build`, with an engine that has its image already."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from image_build.__main__ import build
from image_build.image import Image
from image_build.recipe import BuildError, Recipe
from image_build.sizes import BOUNDS
from tests.image.test_sbom import FILES


@dataclass
class FakeEngine:
    root: Path
    built: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    failure: str = ""

    def build(self, tag: str, arguments: Mapping[str, str]) -> None:
        if self.failure:
            raise BuildError(self.failure)
        self.built.append((tag, arguments))

    def base(self) -> str:
        return "localhost/made-here"

    @contextmanager
    def opened(self, tag: str) -> Iterator[Image]:
        assert tag == self.built[-1][0]
        yield Image(root=self.root, environment={}, command=(), directory="/", user="")


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    for path, text in FILES.items():
        (tmp_path / "root" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / path).write_text(text)
    return FakeEngine(tmp_path / "root")


def test_sizes_are_printed_and_the_bill_is_written(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sbom = tmp_path / "new" / "sbom.json"
    assert build(engine, Recipe(model="none"), tag="localhost/x", sbom=sbom) == []
    assert engine.built == [("localhost/x", Recipe(model="none").arguments(""))]
    assert len(json.loads(sbom.read_text())["components"]) == 7
    printed = capsys.readouterr().out.splitlines()
    assert (printed[0], printed[-1]) == ("localhost/x", f"7 components: {sbom}")


@pytest.mark.parametrize(("base", "used"), [("debian", "localhost/made-here"), ("org/base:1", "org/base:1")])
def test_the_base_is_made_or_named(engine: FakeEngine, tmp_path: Path, base: str, used: str) -> None:
    build(engine, Recipe(base=base), tag="localhost/x", sbom=tmp_path / "sbom.json")
    assert engine.built[0][1]["BASE_IMAGE"] == used


def test_what_is_too_large_is_told_when_all_is_written(engine: FakeEngine, tmp_path: Path) -> None:
    with (engine.root / "var/task/large").open("wb") as file:
        file.truncate(BOUNDS["handler"])
    told = build(engine, Recipe(), tag="localhost/x", sbom=tmp_path / "sbom.json")
    assert [sentence.partition(":")[0] for sentence in told] == ["handler"]
    assert (tmp_path / "sbom.json").exists()


def test_where_the_pinned_base_cannot_be_had_another_one_is_named(engine: FakeEngine, tmp_path: Path) -> None:
    engine.failure = "no such host"
    with pytest.raises(BuildError, match="no such host; without a registry, BASE_IMAGE=debian makes a base here"):
        build(engine, Recipe(), tag="localhost/x", sbom=tmp_path / "sbom.json")
    with pytest.raises(BuildError, match=r"no such host$"):
        build(engine, Recipe(base="debian"), tag="localhost/x", sbom=tmp_path / "sbom.json")
