"""Facts about artefacts: complete or not there at all, and described to the byte."""

import hashlib
from pathlib import Path

import pytest

from handler.manifest import FileEntry, GenerationDefaults, Graph, ModelManifest, Source, TensorSpec
from model_export.errors import ExportError
from model_export.package import describe, staging, write_tokenizer
from model_export.progress import Stopwatch
from model_export.sources import load_checkpoint
from tests.model_export import tiny

GRAPH = Graph(
    file="model.onnx",
    kv_layout="shared",
    inputs=(TensorSpec(name="input_ids", dtype="int64", shape=("batch", "step")),),
    outputs=(),
)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def fill(output: Path, content: str) -> None:
    with staging(output) as stage:
        (stage / "manifest.json").write_text(content)


def fill_and_fail(output: Path, failure: BaseException) -> None:
    with staging(output) as stage:
        (stage / "manifest.json").write_text("half")
        raise failure


def test_what_was_staged_becomes_the_output(tmp_path: Path) -> None:
    output = tmp_path / "deep" / "model"
    fill(output, "new")
    assert (output / "manifest.json").read_text() == "new"
    assert output.stat().st_mode & 0o777 == 0o755
    assert names(output.parent) == ["model"]


def test_an_older_artefact_is_replaced_whole(tmp_path: Path) -> None:
    output = tmp_path / "model"
    fill(output, "old")
    (output / "left-over").touch()
    fill(output, "new")
    assert names(output) == ["manifest.json"]
    assert names(tmp_path) == ["model"]


def test_a_link_goes_on_pointing_to_the_artefact(tmp_path: Path) -> None:
    fill(tmp_path / "model", "old")
    (tmp_path / "current").symlink_to("model")
    fill(tmp_path / "current", "new")
    assert (tmp_path / "current").is_symlink()
    assert (tmp_path / "model" / "manifest.json").read_text() == "new"


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    fill(tmp_path / "model", "new")
    assert names(tmp_path / "model") == ["manifest.json"]


@pytest.mark.parametrize("failure", [ExportError("beyond its bounds"), KeyboardInterrupt()])
def test_a_failure_leaves_what_was_there(tmp_path: Path, failure: BaseException) -> None:
    output = tmp_path / "model"
    fill(output, "old")
    with pytest.raises(type(failure)):
        fill_and_fail(output, failure)
    assert (output / "manifest.json").read_text() == "old"
    assert names(tmp_path) == ["model"]


def test_a_directory_of_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(ExportError, match="exists and is no exported model: give another directory"), staging(tmp_path):
        pytest.fail("the work must not begin")
    assert names(tmp_path) == ["thesis.txt"]


def test_a_file_is_not_replaced_by_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="exists and is no exported model"), staging(tmp_path / "file"):
        pytest.fail("the work must not begin")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match=r"model cannot be written \(.*\): give another directory"):
        fill(tmp_path / "file" / "model", "new")


def described(tmp_path: Path, environ: dict[str, str]) -> ModelManifest:
    checkpoint = load_checkpoint(str(tiny.write_directory(tmp_path / "tiny", tiny.weights())), Stopwatch())
    directory = tmp_path / "artefact"
    directory.mkdir()
    (directory / "model.onnx").write_bytes(b"graph")
    write_tokenizer(checkpoint, directory)
    return describe(
        checkpoint,
        GRAPH,
        directory,
        Stopwatch(),
        name=None,
        exporter="direct",
        recipe="int8",
        context_window=64,
        environ=environ,
    )


def test_the_manifest_says_everything_that_serving_needs(tmp_path: Path) -> None:
    manifest = described(tmp_path, {"SOURCE_DATE_EPOCH": "1700000000"})
    directory = tmp_path / "artefact"
    contents = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert manifest == ModelManifest(
        name="tiny",
        created=1700000000,
        source=Source(kind="directory", id="tiny"),
        architecture="LlamaForCausalLM",
        exporter="direct",
        recipe="int8",
        context_window=64,
        vocab_size=len(tiny.TOKENS),
        bos_token_id=1,
        end_token_ids=(2, 0),
        graph=GRAPH,
        special_tokens={"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"},
        generation_defaults=GenerationDefaults(temperature=0.2, top_p=0.9),
        files={
            name: FileEntry(sha256=hashlib.sha256(contents[name]).hexdigest(), size=len(contents[name]))
            for name in ("chat_template.jinja", "model.onnx", "tokenizer.json")
        },
    )
    manifest.write(directory)
    assert ModelManifest.read(directory) == manifest


def test_without_a_fixed_date_an_export_is_dated_now(tmp_path: Path) -> None:
    assert described(tmp_path, {}).created > 1700000000


def test_a_fixed_date_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="SOURCE_DATE_EPOCH is 'today': set it to Unix seconds, or unset it"):
        described(tmp_path, {"SOURCE_DATE_EPOCH": "today"})
