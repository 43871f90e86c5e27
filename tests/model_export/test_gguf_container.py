"""Facts about reading GGUF files; the gguf package's own reader is the oracle."""

import struct
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, quants

from model_export.errors import ExportError
from model_export.sources.gguf_container import GgufContainer
from tests.model_export import tiny


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return tiny.write_gguf(target, tiny.llama_gguf_tensors(tiny.weights()))


def test_metadata_and_tensors_are_what_the_gguf_package_reads(path: Path) -> None:
    container, reader = GgufContainer(path), GGUFReader(path)
    metadata = {key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    assert container.metadata == metadata
    assert list(container.tensors) == [tensor.name for tensor in reader.tensors]
    for tensor in reader.tensors:
        np.testing.assert_array_equal(container.load(tensor.name), tensor.data)


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1"])
def test_every_stored_type_is_read_as_float32(tmp_path: Path, kind: str) -> None:
    values = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    type_ = GGMLQuantizationType[kind]
    stored = values.astype(np.float16) if kind == "F16" else quants.quantize(values, type_)
    writer = GGUFWriter(tmp_path / "typed.gguf", "llama")
    writer.add_tensor("x", stored, raw_dtype=type_)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    loaded = GgufContainer(tmp_path / "typed.gguf").load("x")
    assert (loaded.dtype, loaded.shape) == (np.dtype(np.float32), (3, 64))
    np.testing.assert_array_equal(loaded, quants.dequantize(stored, type_) if kind != "F16" else stored)


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(b"PK\x03\x04 not a model")
    with pytest.raises(ExportError, match=r"other\.gguf is not a GGUF file .*: give another file"):
        GgufContainer(other)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"none\.gguf cannot be read \(No such file or directory\)"):
        GgufContainer(tmp_path / "none.gguf")


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "old.gguf"
    old.write_bytes(b"GGUF" + struct.pack("<IQQ", 1, 0, 0))
    with pytest.raises(ExportError, match="GGUF version 1, supported are 2 and 3: convert it again"):
        GgufContainer(old)


def test_a_file_cut_anywhere_is_reported_in_one_line(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    cut = tmp_path / "cut.gguf"
    for size in (0, 3, 6, 20, 30, 200, 1000, 5000, len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:size])
        with pytest.raises(ExportError) as caught:
            GgufContainer(cut)
        assert "\n" not in str(caught.value)
        if size >= 4:
            assert str(caught.value).endswith("download it again")


def test_a_file_without_its_last_weights_says_how_much_is_missing(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(whole[:-100])
    with pytest.raises(
        ExportError, match=rf"is truncated: it should hold {len(whole)} bytes and holds {len(whole) - 100}"
    ):
        GgufContainer(cut)
