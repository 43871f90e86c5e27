"""The library is made of the sources alone, whole or not at all, and asks for nothing that an old system lacks."""

import platform
import shutil
from pathlib import Path

import onnxruntime
import pytest

from kernels.build import SOURCE, BuildError, build, built_for
from tests.kernels import elf

compiled = pytest.mark.skipif(
    not built_for(platform.system(), platform.machine()), reason="the kernels are for x86-64, under Linux"
)


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("Linux", "x86_64", True),
        ("Linux", "aarch64", False),
        ("Darwin", "x86_64", False),
        ("Darwin", "arm64", False),
        ("Windows", "AMD64", False),
    ],
)
def test_there_are_kernels_for_x86_64_under_linux(system: str, machine: str, expected: bool) -> None:
    assert built_for(system, machine) is expected


@compiled
def test_it_offers_one_name_and_onnx_runtime_calls_it(library: Path) -> None:
    assert elf.read(library).offered == {"RegisterCustomOps"}
    onnxruntime.SessionOptions().register_custom_ops_library(str(library))


@compiled
def test_it_asks_for_the_c_library_of_2012_and_for_no_other(library: Path) -> None:
    needed = elf.read(library).needed
    assert set(needed) <= {"libc.so.6", "libm.so.6"}
    versions = [name.removeprefix("GLIBC_") for names in needed.values() for name in names]
    assert max(tuple(map(int, version.split("."))) for version in versions) <= (2, 17)


@compiled
def test_the_reader_finds_what_onnx_runtime_itself_offers_and_needs() -> None:
    """An oracle for the two tests above: a library that others made."""
    (path,) = Path(onnxruntime.__file__).parent.glob("capi/onnxruntime_pybind11_state*.so")
    found = elf.read(path)
    assert "PyInit_onnxruntime_pybind11_state" in found.offered
    assert {"GLIBC_2.2.5", "GLIBC_2.17"} <= found.needed["libc.so.6"]


@compiled
def test_the_same_sources_elsewhere_are_the_same_bytes(library: Path, tmp_path: Path) -> None:
    shutil.copytree(SOURCE.parent, tmp_path / "elsewhere")
    build(tmp_path / "again.so", tmp_path / "elsewhere" / SOURCE.name)
    assert (tmp_path / "again.so").read_bytes() == library.read_bytes()


@compiled
@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("int twice(int a) { return a + }\n", "expected expression"),
        ("static int unused(int a) { return a; }\n", "unused function"),
    ],
    ids=["an error", "a warning"],
)
def test_what_the_compiler_says_is_told_and_the_library_before_it_stays(tmp_path: Path, source: str, told: str) -> None:
    library, broken = tmp_path / "libkernels.so", tmp_path / "broken.c"
    library.write_text("the one before")
    broken.write_text(source)
    with pytest.raises(BuildError, match=rf"^broken\.c does not compile\n(.|\n)*{told}"):
        build(library, broken)
    assert library.read_text() == "the one before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.c", "libkernels.so"]
