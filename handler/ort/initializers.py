"""Which of a graph's weights lie in other files, and where there: read from the graph's bytes. Pure.

Only this much of ONNX's format is read here, because the image has no onnx package: a message is a row of fields, each
with a number and a wire type. Source: onnx.proto (github.com/onnx/onnx) and protobuf.dev/programming-guides/encoding.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_MODEL_GRAPH = 7
_GRAPH_INITIALIZER = 5
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 1, 2, 8, 13, 14
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_EXTERNAL = 1

# The wire types: a varint, 8 bytes, a length and as many bytes, 4 bytes.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalTensor:
    """A weight in another file. `element_type`: ONNX's number for it. `offset` in bytes."""

    name: str
    element_type: int
    shape: tuple[int, ...]
    file: str
    offset: int


def external_tensors(model: bytes) -> Iterator[ExternalTensor]:
    """The weights of the main graph that lie in other files. Raises ValueError if the bytes are no ONNX model."""
    for number, graph in _fields(memoryview(model)):
        if number == _MODEL_GRAPH:
            for inner, tensor in _fields(_bytes(graph)):
                if inner == _GRAPH_INITIALIZER and (found := _external(_bytes(tensor))) is not None:
                    yield found


def _external(tensor: memoryview) -> ExternalTensor | None:
    name, element_type, location = "", 0, 0
    shape: list[int] = []
    stored: dict[str, str] = {}
    for number, value in _fields(tensor):
        if number == _TENSOR_NAME:
            name = _text(value)
        elif number == _TENSOR_TYPE and isinstance(value, int):
            element_type = value
        elif number == _TENSOR_LOCATION and isinstance(value, int):
            location = value
        elif number == _TENSOR_DIMS:
            shape += [value] if isinstance(value, int) else _varints(value)
        elif number == _TENSOR_EXTERNAL:
            entry = dict(_fields(_bytes(value)))
            stored[_text(entry[_ENTRY_KEY])] = _text(entry[_ENTRY_VALUE])
    if location != _EXTERNAL:
        return None
    return ExternalTensor(
        name=name,
        element_type=element_type,
        shape=tuple(shape),
        file=stored["location"],
        offset=int(stored.get("offset", 0)),
    )


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field: an int, or what lies behind a length. Fields of fixed width are passed over."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
        elif wire == _BYTES:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise ValueError("a field is longer than its message")
            yield number, message[at : at + length]
            at += length
        elif wire in _FIXED:
            at += _FIXED[wire]
        else:
            raise ValueError(f"there is no wire type {wire}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of 7 bits per byte, the lowest first; and where the next field begins."""
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("a number ends too early")


def _varints(packed: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(packed):
        value, at = _varint(packed, at)
        values.append(value)
    return values


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError(f"{value} stands where a message should")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_bytes(value)).decode()
