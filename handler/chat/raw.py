"""Raw text ↔ tokens, control tokens included: what completions, /tokenize and /detokenize take and give. Pure.

In a chat, text never becomes a control token; here the whole prompt is the caller's, so a control token that is written
in it is meant. In text that goes back to the caller, control tokens are written likewise.
"""

from collections.abc import Sequence

from handler.chat.service import ServedModel
from handler.errors import InvalidRequest


class RawText:
    """One model's raw text."""

    def __init__(self, model: ServedModel) -> None:
        self._tokenizer = model.tokenizer
        self._start = model.start_token_ids
        self._control_names = {i: name.encode() for name, i in model.tokenizer.control_tokens.items()}

    def encode(self, text: str, *, add_start: bool) -> tuple[int, ...]:
        """Token ids of `text`, after the model's own start token where it has one and `add_start` asks for it."""
        start = self._start if add_start else ()
        return (*start, *self._tokenizer.encode(text, special=True))

    def written(self, token_id: int) -> bytes:
        """How the token is written: its bytes, or a control token's name."""
        return self._control_names.get(token_id) or self._tokenizer.token_bytes(token_id)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of `token_ids`. Bytes that are not UTF-8 become U+FFFD.

        Vocabularies that put a space before a text do so when they encode: it is taken away again.
        """
        text = b"".join(map(self.written, token_ids)).decode(errors="replace")
        return text.removeprefix(" ") if self._begins_with_space else text

    @property
    def _begins_with_space(self) -> bool:
        return b"".join(map(self._tokenizer.token_bytes, self._tokenizer.encode("a", special=False))) == b" a"


def check_known(token_ids: Sequence[int], vocab_size: int, param: str) -> None:
    """Raises InvalidRequest if one of `token_ids` is none of the model's."""
    for token_id in token_ids:
        if not 0 <= token_id < vocab_size:
            raise InvalidRequest(
                f"{param} holds the token id {token_id}; this model's ids run from 0 to {vocab_size - 1}.", param=param
            )
