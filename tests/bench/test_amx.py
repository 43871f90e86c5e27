"""A process that is denied AMX cannot ask for its tiles, and everything else works."""

import platform
import subprocess
import sys

import pytest

from tests.bench.machine import ROOT

_ASK = """
import ctypes, os, sys
from tests.bench.workers.amx import deny_amx
deny_amx()
libc = ctypes.CDLL(None, use_errno=True)
asked = libc.syscall(158, 0x1023, 18), ctypes.get_errno()
allowed = libc.syscall(158, 0x1021, ctypes.byref(ctypes.c_uint64()))  # ARCH_GET_XCOMP_SUPP
print(asked, allowed, os.getpid() > 0)
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="AMX is Intel's")
def test_tiles_are_refused_and_nothing_else_is() -> None:
    answer = subprocess.run([sys.executable, "-c", _ASK], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "(-1, 1) 0 True"
