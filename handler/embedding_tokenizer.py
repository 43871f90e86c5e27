"""An embedding model's tokenizer: text in, the ids that its encoder was trained on out, start and end tokens included.

Any `tokenizer.json` will do: nothing here turns tokens back into text. Its own truncation and padding are off; a text
that is too long is the caller's to hear of, and padding is the engine's.
"""

from collections.abc import Sequence
from pathlib import Path

import tokenizers

from handler.errors import ArtifactError


class EmbeddingTokenizer:
    """A Hugging Face fast tokenizer with the model's own start and end tokens. Thread-safe."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        # A control token written in a text is text.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        plain: list[int] = tokenizer.encode("a", add_special_tokens=False).ids
        whole: list[int] = tokenizer.encode("a").ids
        start = next(i for i in range(len(whole)) if whole[i : i + len(plain)] == plain)
        self._start, self._end = whole[:start], whole[start + len(plain) :]

    @classmethod
    def from_file(cls, path: Path) -> "EmbeddingTokenizer":
        """Reads a `tokenizer.json`. Raises ArtifactError if it is missing or damaged."""
        if not path.is_file():
            raise ArtifactError(f"{path} is missing: export the model again")
        try:
            tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the Rust side raises bare Exception for whatever is wrong with the file
            raise ArtifactError(f"{path} is not a tokenizer ({error}): export the model again") from None
        return cls(tokenizer)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def complete(self, token_ids: Sequence[int]) -> list[int]:
        start, end = self._start, self._end
        ids = list(token_ids)
        if ids[: len(start)] != start:
            ids = start + ids
        if end and ids[-len(end) :] != end:
            ids += end
        return ids
