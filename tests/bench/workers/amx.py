"""Denies this process Intel's AMX tiles, as a processor without them would.

A process has to ask the kernel for the tile state before it may use AMX (arch_prctl, ARCH_REQ_XCOMP_PERM). A seccomp
filter that refuses that one request makes every library fall back to AVX, whatever its build flags. llama.cpp's AMX
path crashes on some machines, so it always runs this way; and Lambda documents AVX2 only.
"""

import ctypes
import struct

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM = 158, 0x1023  # x86-64
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF: load a word, compare, answer
_ALLOW, _EPERM = 0x7FFF0000, 0x00050000 | 1
_NUMBER, _FIRST_ARGUMENT = 0, 16  # offsets in struct seccomp_data


def deny_amx() -> None:
    """For this process and all that it starts. Raises OSError if the kernel has no seccomp."""
    program = b"".join(
        struct.pack("HBBI", *instruction)
        for instruction in (
            (_LOAD, 0, 0, _NUMBER),
            (_JUMP_IF_EQUAL, 0, 3, _ARCH_PRCTL),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            (_JUMP_IF_EQUAL, 0, 1, _ARCH_REQ_XCOMP_PERM),
            (_RETURN, 0, 0, _EPERM),
            (_RETURN, 0, 0, _ALLOW),
        )
    )
    buffer = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel refuses the filter that denies AMX")
