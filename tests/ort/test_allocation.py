"""What ONNX Runtime says of memory."""

import pytest

from handler.ort.allocation import telling_of_memory


def test_a_failed_allocation_is_a_memory_error() -> None:
    for message in ("Failed to allocate memory for requested buffer of size 4096", "std::bad_alloc"):
        with pytest.raises(MemoryError), telling_of_memory():
            raise RuntimeError(message)


def test_anything_else_is_raised_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="a shape"), telling_of_memory():
        raise RuntimeError("a shape is wrong")
