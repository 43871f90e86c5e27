"""Facts about files in memory: they are read like any others, and what is mapped outlives their names."""

import mmap
import os
from pathlib import Path

import pytest

from handler.errors import ConfigurationError
from handler.memory_files import MemoryDirectory, in_memory


def test_a_file_is_read_by_its_path_and_closing_takes_the_names_away() -> None:
    directory = MemoryDirectory()
    descriptor = directory.create("deep/name", 4)
    os.pwrite(descriptor, b"ab", 2)
    path = directory.path / "deep" / "name"
    assert path.read_bytes() == b"\0\0ab"
    assert path.stat().st_size == 4
    assert in_memory(path)
    mapped = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
    directory.close()
    directory.close()
    assert mapped[:] == b"\0\0ab"
    assert not directory.path.exists()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_nothing_else_is_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert [in_memory(tmp_path / name) for name in ("file", "link", "missing")] == [False, False, False]


def test_where_no_directory_can_be_made_it_says_what_would_help(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(ConfigurationError, match="let TMPDIR name one that can be written"):
        MemoryDirectory()
