"""The model's tokenizer: `tokenizer.json` behind the engine's port. The only importer of `tokenizers`.

Each token stands for fixed bytes, whatever its neighbours: that is what makes streamed text equal folded text. Two
families of vocabulary have that property and are read here: byte-level BPE (GPT-2's table of 256 printable stand-ins,
one for each byte) and SentencePiece (`▁` for a space, `<0xNN>` for a byte that has no piece of its own).
"""

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import tokenizers

from handler.errors import ArtifactError

# Longer texts are encoded without the interpreter's lock, so that others are answered meanwhile, and without what only
# alignment needs: half the time, two thirds of the memory. For shorter ones it is the dearer way. In characters.
_LONG = 20_000
_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class HFTokenizer:
    """A Hugging Face fast tokenizer. Thread-safe."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        """Raises ArtifactError if the tokens of this vocabulary do not stand for bytes of their own."""
        added = tokenizer.get_added_tokens_decoder()
        self._tokenizer = tokenizer
        # Whether control tokens are recognised is a property of the Rust object, not an argument. Loading a second one
        # would cost a start-up more (80 ms for 49,000 tokens) than waiting a turn does (1 ms for 2,000 tokens).
        self._lock = threading.Lock()
        self._added: dict[int, str] = {int(i): str(token.content) for i, token in added.items()}
        self._control_ids = frozenset(int(i) for i, token in added.items() if token.special)
        self._piece_bytes = _piece_decoder(tokenizer)
        self._unknown_id = _unknown_id(tokenizer)
        self._vocab_size = max([_size(tokenizer, self._added.values()), *(i + 1 for i in self._added)])
        self._bytes: list[bytes | None] = [None] * self._vocab_size
        self.control_tokens: Mapping[str, int] = MappingProxyType(
            {self._added[i]: i for i in sorted(self._control_ids)}
        )
        """Every control token as it is written, with its id."""
        self.start_ids = _start_ids(tokenizer)
        """What the tokenizer itself puts before a text that no template has prepared: a start token, mostly nothing."""

    @classmethod
    def from_file(cls, path: Path) -> "HFTokenizer":
        """Reads a `tokenizer.json`. Raises ArtifactError if it is missing, damaged or of an unknown kind."""
        if not path.is_file():
            raise ArtifactError(f"{path} is missing: export the model again")
        try:
            tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the Rust side raises bare Exception for whatever is wrong with the file
            raise ArtifactError(f"{path} is not a tokenizer ({error}): export the model again") from None
        return cls(tokenizer)

    @classmethod
    def from_json(cls, text: str) -> "HFTokenizer":
        """The same, from the text of a `tokenizer.json`."""
        try:
            tokenizer = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # as above
            raise ArtifactError(
                f"The tokenizer cannot be read ({error}): take it anew from the model's source"
            ) from None
        return cls(tokenizer)

    @property
    def vocab_size(self) -> int:
        return self._vocab_size

    def encode(self, text: str, *, special: bool) -> list[int]:
        with self._lock:
            self._tokenizer.encode_special_tokens = not special
            if len(text) < _LONG:
                ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
            else:
                ids = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids
        if special or self._control_ids.isdisjoint(ids):
            return ids
        return list(self._without_control(ids))

    def token_bytes(self, token_id: int) -> bytes:
        if not 0 <= token_id < self._vocab_size:
            return b""
        data = self._bytes[token_id]
        if data is None:
            data = self._bytes[token_id] = self._compute_bytes(token_id)
        return data

    def piece(self, token_id: int) -> str:
        if not 0 <= token_id < self._vocab_size:
            return ""
        piece: str | None = self._tokenizer.id_to_token(token_id)
        return piece or ""

    def is_special(self, token_id: int) -> bool:
        return token_id in self._control_ids

    def _compute_bytes(self, token_id: int) -> bytes:
        if token_id in self._control_ids:
            return b""
        if token_id in self._added:
            # An added token is matched in the text as it is written, so it never went through GPT-2's table.
            return self._piece_bytes(self._added[token_id], True)
        piece: str | None = self._tokenizer.id_to_token(token_id)
        return b"" if piece is None else self._piece_bytes(piece, False)

    def _without_control(self, ids: list[int]) -> Iterator[int]:
        """Spells out the control tokens that the vocabulary itself put together from text.

        It can: a unigram vocabulary lists `</s>` among its pieces, and merges made anew from a vocabulary lead to it.
        The unknown token is a control token too, but no text impersonates it: it stays.
        """
        for token_id in ids:
            if token_id not in self._control_ids or token_id == self._unknown_id:
                yield token_id
                continue
            for character in self._added[token_id]:
                for token in self._tokenizer.model.tokenize(character):
                    if token.id not in self._control_ids:
                        yield token.id


def _piece_decoder(tokenizer: tokenizers.Tokenizer) -> Callable[[str, bool], bytes]:
    """(piece, added) → bytes, for the family that the tokenizer's own decoder tells."""
    decoder = tokenizer.decoder
    steps = [] if decoder is None else list(_steps(json.loads(decoder.__getstate__())))
    kinds = [str(step["type"]) for step in steps]
    if "ByteLevel" in kinds:
        return _byte_level_bytes
    spaces = [step["replacement"] for step in steps if step["type"] == "Metaspace"]
    spaces += [
        step["pattern"]["String"]
        for step in steps
        if step["type"] == "Replace" and step["content"] == " " and "String" in step["pattern"]
    ]
    if not spaces:
        raise ArtifactError(
            f"A tokenizer with the decoder {' + '.join(kinds) or 'none'} is not supported:"
            " choose a model with byte-level BPE or a SentencePiece vocabulary"
        )
    space, byte_fallback = str(spaces[0]), "ByteFallback" in kinds

    def sentence_piece_bytes(piece: str, added: bool) -> bytes:
        byte = _BYTE_PIECE.fullmatch(piece) if byte_fallback and not added else None
        return bytes([int(byte[1], 16)]) if byte else piece.replace(space, " ").encode()

    return sentence_piece_bytes


def _steps(decoder: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if decoder["type"] != "Sequence":
        yield decoder
        return
    for step in decoder["decoders"]:
        yield from _steps(step)


def _size(tokenizer: tokenizers.Tokenizer, added: Iterable[str]) -> int:
    """`get_vocab_size(with_added_tokens=True)`, without its copy of the vocabulary: an eighth of loading it."""
    model = tokenizer.model
    own = int(tokenizer.get_vocab_size(with_added_tokens=False))
    return own + sum(model.token_to_id(token) is None for token in set(added))


def _start_ids(tokenizer: tokenizers.Tokenizer) -> tuple[int, ...]:
    plain: list[int] = tokenizer.encode("a", add_special_tokens=False).ids
    whole: list[int] = tokenizer.encode("a", add_special_tokens=True).ids
    starts = (at for at in range(len(whole) - len(plain) + 1) if whole[at : at + len(plain)] == plain)
    return tuple(whole[: next(starts, 0)])


def _unknown_id(tokenizer: tokenizers.Tokenizer) -> int | None:
    unknown = getattr(tokenizer.model, "unk_token", None)
    return None if unknown is None else tokenizer.token_to_id(unknown)


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's table: a printable byte stands for itself, the n-th other byte is the character 256 + n."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


_BYTE_OF = _byte_alphabet()


def _byte_level_bytes(piece: str, added: bool) -> bytes:
    try:
        return piece.encode() if added else bytes([_BYTE_OF[character] for character in piece])
    except KeyError:  # a piece that was never byte-encoded, as tokenizers' own decoder reads it
        return piece.encode()
