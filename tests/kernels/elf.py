"""What a 64-bit library tells its loader: the names that it offers, and what it asks of others. Format: man 5 elf."""

import struct
from dataclasses import dataclass
from pathlib import Path

_SECTION = struct.Struct("<IIQQQQIIQQ")  # name, type, flags, address, offset, size, link, info, alignment, entry size
_SYMBOL = struct.Struct("<IBBHQQ")  # name, info, other, section, value, size
_NEED = struct.Struct("<HHIII")  # version, how many names, file, where the first is, where the next need is
_NEEDED_NAME = struct.Struct("<IHHII")  # hash, flags, other, name, where the next is

_DYNAMIC_SYMBOLS, _VERSIONS_NEEDED = 11, 0x6FFFFFFE


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """`offered`: its symbols. `needed`: the versions of symbols, by the library that has them."""

    offered: set[str]
    needed: dict[str, set[str]]


def read(path: Path) -> Library:
    data = path.read_bytes()
    assert data[:6] == b"\x7fELF\x02\x01", "64 bits, the lowest byte first"
    (start,), (count,) = struct.unpack_from("<Q", data, 0x28), struct.unpack_from("<H", data, 0x3C)
    sections = [_SECTION.unpack_from(data, start + index * _SECTION.size) for index in range(count)]

    def text(table: int, at: int) -> str:
        begin = sections[table][4] + at
        return data[begin : data.index(b"\0", begin)].decode()

    offered: set[str] = set()
    needed: dict[str, set[str]] = {}
    for _name, kind, _flags, _address, offset, size, link, info, *_rest in sections:
        if kind == _DYNAMIC_SYMBOLS:
            symbols = _SYMBOL.iter_unpack(data[offset : offset + size])
            offered = {text(link, name) for name, _info, _other, section, *_rest in symbols if section}
        elif kind == _VERSIONS_NEEDED:
            for _need in range(info):
                _version, names, file, at, following = _NEED.unpack_from(data, offset)
                versions, place = needed.setdefault(text(link, file), set()), offset + at
                for _ in range(names):
                    *_, name, further = _NEEDED_NAME.unpack_from(data, place)
                    versions.add(text(link, name))
                    place += further
                offset += following
    return Library(offered=offered, needed=needed)
