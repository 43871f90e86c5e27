"""Our kernels are taken by the processors that they were written for, and by no others."""

from pathlib import Path

import pytest

from handler.ort import kernels

# Names of processors, and of their flags those that matter here.
_PROCESSORS = {
    "AMD Zen 3": ({"sse2", "avx", "avx2", "fma", "f16c"}, True),
    "Intel Haswell": ({"sse2", "avx", "avx2", "fma"}, True),
    "Intel Skylake-SP": ({"avx", "avx2", "fma", "avx512f", "avx512bw", "avx512vl"}, True),
    "Intel Cascade Lake": ({"avx", "avx2", "fma", "avx512f", "avx512_vnni"}, False),
    "Intel Alder Lake": ({"avx", "avx2", "fma", "avx_vnni"}, False),
    "Intel Sapphire Rapids": ({"avx2", "fma", "avx512_vnni", "avx_vnni", "amx_int8"}, False),
    "Intel Ivy Bridge": ({"sse2", "avx", "f16c"}, False),
    "VIA, with AVX2 and without FMA": ({"sse2", "avx", "avx2"}, False),
    "unknown": (set[str](), False),
}


@pytest.mark.parametrize(("flags", "suited"), _PROCESSORS.values(), ids=_PROCESSORS.keys())
def test_kernels_are_for_avx2_and_fma_without_vnni(flags: set[str], suited: bool) -> None:
    assert kernels.suits(flags) is suited


def test_flags_are_those_of_the_first_processor(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(
        "processor\t: 0\nmodel name\t: some flags: none\nflags\t\t: fpu avx2 fma\nvmx flags\t: ept\n\n"
        "processor\t: 1\nflags\t\t: fpu\n"
    )
    assert kernels.flags(cpuinfo) == {"fpu", "avx2", "fma"}


def test_an_arm_processor_has_no_such_flags(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd asimddp i8mm\n")
    assert kernels.flags(cpuinfo) == set()


def test_a_system_without_the_file_has_no_flags(tmp_path: Path) -> None:
    assert kernels.flags(tmp_path / "cpuinfo") == set()


def test_a_library_that_nobody_built_is_not_used(tmp_path: Path) -> None:
    assert kernels.library(tmp_path / "libkernels.so") is None
