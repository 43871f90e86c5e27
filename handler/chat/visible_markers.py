"""A tokenizer whose markers can be read: control tokens that separate thoughts and calls from text. Pure.

A control token has no text, so that none is ever shown; these have, and the parsers take it out again.
"""

from collections.abc import Mapping

from handler.engine.ports import Tokenizer


class VisibleMarkers:
    """`tokenizer`, except that the tokens in `markers` (text to id) stand for their text."""

    def __init__(self, tokenizer: Tokenizer, markers: Mapping[str, int]) -> None:
        self._tokenizer = tokenizer
        self._visible = {token_id: text.encode() for text, token_id in markers.items()}

    @property
    def vocab_size(self) -> int:
        return self._tokenizer.vocab_size

    @property
    def control_tokens(self) -> Mapping[str, int]:
        return self._tokenizer.control_tokens

    def encode(self, text: str, *, special: bool) -> list[int]:
        return self._tokenizer.encode(text, special=special)

    def token_bytes(self, token_id: int) -> bytes:
        return self._visible.get(token_id) or self._tokenizer.token_bytes(token_id)

    def piece(self, token_id: int) -> str:
        return self._tokenizer.piece(token_id)

    def is_special(self, token_id: int) -> bool:
        return self._tokenizer.is_special(token_id)
