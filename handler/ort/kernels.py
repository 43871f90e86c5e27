"""Which kernels multiply by the quantized weights: those of kernels/, or ONNX Runtime's own.

Ours need AVX2 and FMA. Where the processor can multiply bytes in one instruction (VNNI, AMX), ONNX Runtime's own do,
and are as fast.
"""

from pathlib import Path

# What `make` or the image's build made of kernels/*.c: absent on other processors, and where nobody built it.
LIBRARY = Path(__file__).with_name("libkernels.so")
_PROCESSORS = Path("/proc/cpuinfo")

_NEEDED = frozenset({"avx2", "fma"})
_BETTER_SERVED = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


def library(path: Path = LIBRARY) -> Path | None:
    """Our operators for this processor, as a library for ONNX Runtime to load; None: its own kernels are to be used."""
    return path if path.exists() and suits(flags(_PROCESSORS)) else None


def suits(flags: set[str]) -> bool:
    """Whether a processor with these flags, in Linux's words, is one that our kernels were written for."""
    return flags >= _NEEDED and not flags & _BETTER_SERVED


def flags(processors: Path) -> set[str]:
    """Those of the first processor that Linux tells of: none on other systems, and on other architectures than x86."""
    try:
        with processors.open() as lines:  # read by the page: one of many processors is enough
            return next((set(line.split()[2:]) for line in lines if line.startswith("flags")), set())
    except OSError:
        return set()
