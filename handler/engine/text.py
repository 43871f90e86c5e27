"""Incremental text: tokens' bytes in, characters out. Pure.

A character whose bytes are spread over tokens is held until it is whole. Bytes that are no UTF-8 become U+FFFD, one for
each maximal ill-formed part, as `bytes.decode(errors="replace")` does.
"""

import codecs

_utf8 = codecs.getincrementaldecoder("utf-8")


class TextDecoder:
    """The text of one answer: all results joined equal the joined bytes decoded at once."""

    def __init__(self) -> None:
        self._decoder = _utf8(errors="replace")

    def decode(self, data: bytes) -> str:
        """The characters that `data` completes."""
        return self._decoder.decode(data)

    def flush(self) -> str:
        """What is held, at the end of the answer: U+FFFD if a character is incomplete, else nothing."""
        return self._decoder.decode(b"", True)
