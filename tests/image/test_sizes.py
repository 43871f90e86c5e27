"""Sizes by part, and what is too large."""

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from image_build.sizes import BOUNDS, LAMBDA_LIMIT, Part, beyond, measure, table


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, size in {"opt/python/a.py": 1000, "opt/python/b/c.so": 2000, "var/task/d.py": 10, "usr/e": 5}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(os.urandom(size))
    (tmp_path / "usr/link").symlink_to("e")
    (tmp_path / "opt/model").mkdir()
    return tmp_path


def test_each_file_is_of_one_part_and_empty_parts_are_not_told(root: Path) -> None:
    assert [(part.name, part.files, part.size) for part in measure(root)] == [
        ("base", 1, 5),
        ("packages", 2, 3000),
        ("handler", 1, 10),
    ]


def test_compressed_is_what_tar_and_gzip_make_of_it(root: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(root / "opt/python")
    expected = len(gzip.compress(archive.getvalue(), 6))
    packages = next(part for part in measure(root) if part.name == "packages")
    assert abs(packages.compressed - expected) < 200  # one entry more, for the directory itself


def part(name: str, size: int) -> Part:
    return Part(name=name, files=1, size=size, compressed=size // 2)


def test_a_model_may_be_as_large_as_lambda_allows_and_other_parts_have_bounds() -> None:
    assert beyond([part("base", BOUNDS["base"]), part("model", 5 * 10**9)]) == []
    assert beyond([part("handler", 6 * 10**6)]) == [
        "handler: 6.0 MB, and its bound is 5.0 MB (image_build/sizes.py)",
    ]
    assert beyond([part("base", 10**6), part("model", LAMBDA_LIMIT)]) == [
        "together 10001.0 MB, and Lambda takes 10000.0: a smaller recipe, or MODEL=none"
    ]


def test_the_table_has_a_sum() -> None:
    assert table([part("base", 2_000_000), part("handler", 1_000_000)]) == (
        "MB                 files  on disk  in a registry\n"
        "base                   1      2.0            1.0\n"
        "handler                1      1.0            0.5\n"
        "together               2      3.0            1.5"
    )
