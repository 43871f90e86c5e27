"""Facts about an exported model's files: one that is missing, cut or changed is named before it is served."""

import hashlib
from pathlib import Path

import pytest

from handler.artifact import describe_file, sha256_file, verify_files
from handler.errors import ArtifactError
from handler.manifest import FileEntry, Graph, ModelManifest, Source

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4's example


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"")
    return tmp_path


def manifest(directory: Path) -> ModelManifest:
    return ModelManifest(
        name="tiny",
        created=0,
        source=Source(kind="directory", id="tiny"),
        architecture="LlamaForCausalLM",
        exporter="direct",
        recipe="fp32",
        context_window=8,
        vocab_size=4,
        end_token_ids=(0,),
        graph=Graph(file="a", kv_layout="shared", inputs=(), outputs=()),
        files={name: describe_file(directory / name) for name in ("a", "b")},
    )


def test_a_file_is_described_by_its_hash_and_size(directory: Path) -> None:
    assert describe_file(directory / "a") == FileEntry(sha256=ABC, size=3)


def test_hashing_reports_what_it_has_read(directory: Path) -> None:
    read: list[int] = []
    describe_file(directory / "a", read.append)
    assert read == [3]


def test_a_file_of_several_parts_has_the_hash_of_the_whole_and_of_each(tmp_path: Path) -> None:
    part = 16 * 1024 * 1024
    size = 2 * part + 1
    content = bytes(range(256)) * (size // 256) + b"!"
    (tmp_path / "large").write_bytes(content)
    whole = hashlib.sha256(content).hexdigest()
    pieces = (content[:part], content[part : 2 * part], b"!")
    read: list[int] = []
    assert describe_file(tmp_path / "large", read.append) == FileEntry(
        sha256=whole, size=size, parts=tuple(hashlib.sha256(piece).hexdigest() for piece in pieces)
    )
    assert read == [part, part, 1]
    assert sha256_file(tmp_path / "large") == whole


@pytest.mark.parametrize("full", [False, True])
def test_files_as_they_were_exported_pass(directory: Path, full: bool) -> None:
    verify_files(directory, manifest(directory), full=full)


@pytest.mark.parametrize("full", [False, True])
def test_a_missing_file_is_named(directory: Path, full: bool) -> None:
    exported = manifest(directory)
    (directory / "b").unlink()
    with pytest.raises(ArtifactError, match=r"/b is missing: .*: export the model again$"):
        verify_files(directory, exported, full=full)


@pytest.mark.parametrize("full", [False, True])
def test_a_truncated_file_is_named_with_both_sizes(directory: Path, full: bool) -> None:
    exported = manifest(directory)
    (directory / "a").write_bytes(b"ab")
    with pytest.raises(ArtifactError, match=r"/a holds 2 bytes instead of 3: .*: export the model again$"):
        verify_files(directory, exported, full=full)


def test_a_wrong_hash_is_found_where_it_is_asked_for(directory: Path) -> None:
    exported = manifest(directory)
    (directory / "a").write_bytes(b"abd")
    verify_files(directory, exported, full=False)
    with pytest.raises(
        ArtifactError, match=r"/a does not have the sha256 of its manifest: .*: export the model again$"
    ):
        verify_files(directory, exported, full=True)
