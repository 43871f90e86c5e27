"""The library, compiled once for all tests; and graphs of one operator to run it by."""

import platform
from pathlib import Path

import pytest

from handler.ort import kernels
from kernels.build import build, built_for


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not built_for(platform.system(), platform.machine()):
        pytest.skip("the kernels are for x86-64, under Linux")
    path = tmp_path_factory.mktemp("kernels") / "libkernels.so"
    build(path)
    return path


@pytest.fixture(scope="session")
def operators(library: Path) -> Path:
    """The library where the processor can run what is in it."""
    if not {"avx2", "fma"} <= kernels.flags(Path("/proc/cpuinfo")):
        pytest.skip("a processor without AVX2 and FMA")
    return library
