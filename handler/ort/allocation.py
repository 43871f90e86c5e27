"""An allocation that fails inside ONNX Runtime, as Python tells of one."""

from collections.abc import Iterator
from contextlib import contextmanager

# How its messages tell of it: its own arena, and the C++ library's allocator.
_WORDS = ("Failed to allocate memory", "bad_alloc", "bad allocation")


@contextmanager
def telling_of_memory() -> Iterator[None]:
    """Raises MemoryError instead of what ONNX Runtime raises where it gets no memory."""
    try:
        yield
    except Exception as error:  # its own classes have no other base in common
        if any(word in str(error) for word in _WORDS):
            raise MemoryError("ONNX Runtime got no memory") from None
        raise
