"""A model is data: what its files name stays inside its directory, and nothing in them is executed."""

import ast
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from handler.errors import ArtifactError
from handler.manifest import ModelManifest, Source
from handler.ort.session import open_session
from model_export.errors import ExportError
from model_export.sources.directory import directory_checkpoint

ROOT = Path(__file__).parents[2]
SOURCE = Source(kind="directory", id="a")


def manifest_naming(name: str) -> bytes:
    """A manifest whose only file has that name."""
    graph = {"file": "model.onnx", "kv_layout": "shared", "inputs": [], "outputs": []}
    facts = {"architecture": "a", "exporter": "direct", "recipe": "fp32", "context_window": 1, "vocab_size": 1}
    named = {"format_version": 1, "name": "a", "created": 1, "source": {"kind": "directory", "id": "a"}}
    files = {name: {"sha256": "0" * 64, "size": 1}}
    return json.dumps({**named, **facts, "end_token_ids": [0], "graph": graph, "files": files}).encode()


@pytest.mark.parametrize("name", ["model.onnx", "a/b.onnx", "..data"])
def test_a_manifest_names_files_below_itself(name: str) -> None:
    assert list(ModelManifest.parse(manifest_naming(name), "manifest.json").files) == [name]


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../../b", "a/./b", "./a", "a//b", "..", ""])
def test_and_none_elsewhere(name: str) -> None:
    """A model that is read from S3 would else be written wherever its manifest says."""
    with pytest.raises(ArtifactError, match="does not name a file in the model's directory"):
        ModelManifest.parse(manifest_naming(name), "manifest.json")


def graph_with_weights_in(directory: Path, location: str) -> Path:
    """A graph that gives back its four weights, which it says are in the file at `location`."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [4], b"\0" * 16, raw=True)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": "16"}.items():
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], [output], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = directory / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_a_graph_reads_weights_of_its_directory_and_none_from_outside(tmp_path: Path) -> None:
    directory = tmp_path / "model"
    directory.mkdir()
    for place in (directory, tmp_path):
        (place / "weights.bin").write_bytes(np.ones(4, np.float32).tobytes())
    session = open_session(graph_with_weights_in(directory, "weights.bin"), threads=1)
    assert np.asarray(session.run(None, {})[0]).tolist() == [1.0] * 4
    for location in ("../weights.bin", str(tmp_path / "weights.bin"), "a/../../weights.bin"):
        with pytest.raises(ArtifactError, match="cannot be loaded"):
            open_session(graph_with_weights_in(directory, location), threads=1)


def test_a_pickled_checkpoint_is_refused_and_not_opened(tmp_path: Path) -> None:
    """Unpickling runs what a file says."""

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (str(tmp_path / "exploded"),))

    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "vocab_size": 1}')
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ExportError):
        directory_checkpoint(tmp_path, name="a", source=SOURCE)
    assert not (tmp_path / "exploded").exists()


FORBIDDEN_MODULES = {"pickle", "dill", "marshal", "shelve", "joblib", "cloudpickle"}
FORBIDDEN_NAMES = {"eval", "exec", "__import__", "trust_remote_code"}


def test_nothing_of_the_product_unpickles_or_runs_a_models_code() -> None:
    found = []
    for path in sorted((*ROOT.glob("handler/**/*.py"), *ROOT.glob("model_export/**/*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    used = {alias.name.partition(".")[0] for alias in names} & FORBIDDEN_MODULES
                case ast.ImportFrom(module=str(module)):
                    used = {module.partition(".")[0]} & FORBIDDEN_MODULES
                case ast.Call(func=ast.Name(id=name), keywords=keywords):
                    used = {name, *(keyword.arg for keyword in keywords)} & FORBIDDEN_NAMES
                case ast.Call(func=ast.Attribute(), keywords=keywords):
                    used = {keyword.arg for keyword in keywords} & FORBIDDEN_NAMES
                case _:
                    used = set()
            found += [f"{path.relative_to(ROOT)}: {name}" for name in used]
    assert found == []
