"""The model's vocabulary as llguidance sees it.

It is built from the tokens' bytes and not from `tokenizer.json`, and without llguidance's "slices": 40 ms instead of
220 for 49,000 tokens, all of it with the interpreter's lock held. What slices would save is one millisecond, once.
"""

from collections.abc import Collection

from llguidance import LLTokenizer, TokenizerWrapper

from handler.engine.ports import Tokenizer

_SPECIAL = b"\xff"  # how llguidance marks a token that no text contains


def build_vocabulary(tokenizer: Tokenizer, vocab_size: int, end_token_ids: Collection[int]) -> LLTokenizer:
    """`vocab_size` is the decoder's: ids beyond the tokenizer's own are never allowed."""
    return LLTokenizer(
        TokenizerWrapper(_Tokens(tokenizer, vocab_size, end_token_ids)),
        eos_token=list(end_token_ids),
        slices=[],
    )


class _Tokens:
    """What llguidance's wrapper asks of a tokenizer."""

    bos_token_id = None
    special_token_ids: tuple[int, ...] = ()  # they are marked already

    def __init__(self, tokenizer: Tokenizer, vocab_size: int, end_token_ids: Collection[int]) -> None:
        self.eos_token_id = next(iter(end_token_ids))
        self._tokenizer = tokenizer
        names = {token_id: name for name, token_id in tokenizer.control_tokens.items()}
        self.tokens = [
            _SPECIAL + names.get(token_id, f"[{token_id}]").encode()
            if token_id in names
            else tokenizer.token_bytes(token_id) or _SPECIAL + f"[{token_id}]".encode()
            for token_id in range(vocab_size)
        ]
        self._ids: dict[bytes, int] = {}

    def __call__(self, text: bytes | str) -> list[int]:
        """The tokens of `text` as the model would see them: their bytes are the text's, whatever comes before it."""
        data = text if isinstance(text, bytes) else text.encode()
        ids = self._tokenizer.encode(data.decode(), special=False)
        if self._bytes(ids) == data:
            return ids
        # A SentencePiece tokenizer puts a space before a text: something in front takes it.
        front = self._tokenizer.encode("\x02", special=False)
        ids = self._tokenizer.encode("\x02" + data.decode(), special=False)[len(front) :]
        return ids if self._bytes(ids) == data else self._longest(data)

    def _bytes(self, ids: list[int]) -> bytes:
        return b"".join(map(self._tokenizer.token_bytes, ids))

    def _longest(self, data: bytes) -> list[int]:
        """Always the longest token that fits."""
        if not self._ids:
            self._ids = {token: token_id for token_id, token in reversed(list(enumerate(self.tokens)))}
        ids = []
        while data:
            length = next((n for n in range(len(data), 0, -1) if data[:n] in self._ids), 0)
            if not length:
                break
            ids.append(self._ids[data[:length]])
            data = data[length:]
        return ids
