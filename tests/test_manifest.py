"""The manifest: written, read back, and refused with one line when it is not right."""

import json
from pathlib import Path

import pytest

from handler.errors import ArtifactError
from handler.manifest import FileEntry, Graph, ModelManifest, Source, TensorSpec


def manifest() -> ModelManifest:
    return ModelManifest(
        name="tiny",
        created=1,
        source=Source(kind="directory", id="tiny"),
        architecture="LlamaForCausalLM",
        exporter="direct",
        recipe="fp32",
        context_window=64,
        vocab_size=8,
        end_token_ids=(2,),
        graph=Graph(
            file="model.onnx",
            kv_layout="shared",
            inputs=(
                TensorSpec(name="input_ids", dtype="int64", shape=("batch", "step")),
                TensorSpec(name="past_key_values.0.key", dtype="float32", shape=("batch", 1, "capacity", 4)),
            ),
            outputs=(TensorSpec(name="logits", dtype="float32", shape=("batch", "rows", 8)),),
        ),
        files={"model.onnx": FileEntry(sha256="0" * 64, size=1)},
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    manifest().write(tmp_path)
    assert ModelManifest.read(tmp_path) == manifest()


def test_a_manifest_from_before_prefixes_is_read(tmp_path: Path) -> None:
    older = manifest().model_dump(mode="json")
    del older["prefix"]
    (tmp_path / "manifest.json").write_text(json.dumps(older))
    assert ModelManifest.read(tmp_path) == manifest()


def test_a_manifest_from_before_parts_is_read(tmp_path: Path) -> None:
    older = manifest().model_dump(mode="json")
    del older["files"]["model.onnx"]["parts"]
    (tmp_path / "manifest.json").write_text(json.dumps(older))
    assert ModelManifest.read(tmp_path) == manifest()


def test_a_manifest_from_before_the_kernels_has_one_graph(tmp_path: Path) -> None:
    older = manifest().model_dump(mode="json")
    del older["graph"]["kernels"]
    (tmp_path / "manifest.json").write_text(json.dumps(older))
    assert ModelManifest.read(tmp_path).graph.kernels is None


def test_past_lists_the_kv_inputs() -> None:
    assert [spec.name for spec in manifest().graph.past] == ["past_key_values.0.key"]


def test_a_directory_without_a_manifest_says_how_to_export(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"python -m model_export SOURCE"):
        ModelManifest.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format_version": 99}, "format version 99, this server reads 1"),
        ({"vocab_size": 0}, "vocab_size: Input should be greater than 0"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"prefix": {"tokens": 20}}, "the prefix is none of the files"),
        (
            {"files": {"a": {"sha256": "0" * 64, "size": 2**24, "parts": ["0" * 64] * 2}}},
            "2 parts do not make 16777216",
        ),
        (
            {"files": {"../a": {"sha256": "0" * 64, "size": 1}}},
            r"'\.\./a' does not name a file in the model's directory",
        ),
        ({"files": {"/a": {"sha256": "0" * 64, "size": 1}}}, "'/a' does not name a file in the model's directory"),
    ],
    ids=[
        "another format",
        "out of bounds",
        "an unknown key",
        "a prefix that is not there",
        "parts that do not add up",
        "a file outside",
        "a file anywhere",
    ],
)
def test_a_manifest_that_is_not_right_is_refused(tmp_path: Path, change: dict[str, object], says: str) -> None:
    path = manifest().write(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ArtifactError, match=says):
        ModelManifest.read(tmp_path)


def test_a_damaged_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match="export the model again"):
        ModelManifest.read(tmp_path)
