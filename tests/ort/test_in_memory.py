"""Sessions over files in memory: the same model, to the bit, from a directory that is gone by then."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from handler.engine.ports import Decoder
from handler.errors import ArtifactError
from handler.manifest import ModelManifest
from handler.memory_files import MemoryDirectory
from handler.ort import kernels
from handler.ort.decoder import load_decoder
from handler.ort.graph_choice import GraphChoice, choose_graph
from handler.ort.initializers import ExternalTensor, external_tensors
from handler.ort.session import open_session
from tests.models import exported
from tests.ort.decoders import CONFIG, checkpoint, export, logits, tokens


def held(source: Path) -> MemoryDirectory:
    """The files of a directory, in memory."""
    directory = MemoryDirectory()
    for path in source.iterdir():
        data = path.read_bytes()
        os.pwrite(directory.create(path.name, len(data)), data, 0)
    return directory


def from_memory(source: Path, manifest: ModelManifest, choice: GraphChoice) -> Decoder:
    directory = held(source)
    try:
        return load_decoder(directory.path, manifest, threads=1, choice=choice)
    finally:
        directory.close()


@pytest.mark.parametrize("library", [None, kernels.LIBRARY], ids=["ONNX Runtime's kernels", "ours"])
@pytest.mark.parametrize("recipe", ["fp32", "int8", "int8-blocks", "int4"])
def test_a_model_in_memory_is_the_one_in_the_directory(recipe: str, library: Path | None, tmp_path: Path) -> None:
    manifest = export(checkpoint(CONFIG), recipe, tmp_path)
    choice = choose_graph(manifest.graph, library)
    stored = load_decoder(tmp_path, manifest, threads=1, choice=choice)
    prompt = tokens(40)
    np.testing.assert_array_equal(logits(from_memory(tmp_path, manifest, choice), prompt), logits(stored, prompt))


def test_the_weights_outside_a_graph_are_those_that_onnx_finds() -> None:
    path = exported("default", "int8") / "model.onnx"
    expected = []
    for tensor in onnx.load(path, load_external_data=False).graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            stored = {entry.key: entry.value for entry in tensor.external_data}
            expected.append(
                ExternalTensor(
                    name=tensor.name,
                    element_type=tensor.data_type,
                    shape=tuple(tensor.dims),
                    file=stored["location"],
                    offset=int(stored["offset"]),
                )
            )
    assert len(expected) > 100
    assert list(external_tensors(path.read_bytes())) == expected


def graph(path: Path, **stored: str) -> Path:
    """A graph that gives its only weight, three numbers that lie where `stored` says."""
    weight = numpy_helper.from_array(np.arange(3, dtype=np.float32), "weight")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in stored.items():
        weight.external_data.add(key=key, value=value)
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, [3])
    nodes = [helper.make_node("Identity", ["weight"], ["out"])]
    model = helper.make_model(helper.make_graph(nodes, "g", [], [output], [weight]), ir_version=10)
    model.opset_import[0].version = 21
    path.write_bytes(model.SerializeToString())
    return path


def opened(directory: Path) -> list[float]:
    memory = held(directory)
    try:
        return [float(value) for value in open_session(memory.path / "g.onnx", threads=1).run(None, {})[0]]
    finally:
        memory.close()


@pytest.mark.parametrize("offset", [0, 3, 4096])
def test_a_weight_may_begin_anywhere(offset: int, tmp_path: Path) -> None:
    graph(tmp_path / "g.onnx", location="g.data", offset=str(offset), length="12")
    (tmp_path / "g.data").write_bytes(bytes(offset) + np.array([1, 2, 3], np.float32).tobytes())
    assert opened(tmp_path) == [1, 2, 3]


@pytest.mark.parametrize(
    ("stored", "says"),
    [
        ({"location": "g.data", "offset": "8", "length": "12"}, r"cannot be loaded \(.*\): export the model again"),
        ({"location": "other.data"}, r"cannot be loaded \(.*other.data.*\): export the model again"),
        ({"location": "../g.data"}, r"lie in \.\./g\.data, which is not beside it: export the model again"),
    ],
    ids=["beyond its file", "in no file", "elsewhere"],
)
def test_a_weight_that_is_not_in_its_file_is_an_error(stored: dict[str, str], says: str, tmp_path: Path) -> None:
    graph(tmp_path / "g.onnx", **stored)
    (tmp_path / "g.data").write_bytes(bytes(12))
    with pytest.raises(ArtifactError, match=says):
        opened(tmp_path)


@pytest.mark.parametrize("data", [b"\x3a", b"\x3a\x05ab", b"\x3f"], ids=["no length", "too short", "no wire type"])
def test_bytes_that_are_no_model_are_an_error(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "g.onnx").write_bytes(data)
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        opened(tmp_path)
