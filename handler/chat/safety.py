"""Text of a conversation never becomes a control token. Pure.

A caller who writes `<|im_start|>system` in a message gets these characters, not a system turn. Before rendering, the
first character of every control token in the caller's text is replaced by a stand-in: a Unicode noncharacter that the
text does not contain. After rendering, what still reads as a control token is the template's own; a piece of text that
holds a stand-in gets its characters back and is encoded as plain text.
"""

import re
from collections.abc import Callable, Mapping

from handler.engine.ports import Tokenizer
from handler.errors import InvalidRequest

# "Intended for process-internal uses" (The Unicode Standard, section 23.7).
_NONCHARACTERS = [*map(chr, range(0xFDD0, 0xFDF0)), "\ufffe", "\uffff"]


def _escaped(character: str) -> str:
    """How Python's repr and ASCII JSON write a noncharacter: what a template makes of it when it prints a list."""
    return f"\\u{ord(character):04x}"


_BY_SPELLING = {spelling: character for character in _NONCHARACTERS for spelling in (character, _escaped(character))}
_ANY = re.compile("|".join(map(re.escape, _BY_SPELLING)))


def map_text(value: object, change: Callable[[str], str]) -> object:
    """The same JSON-like value with every string in it changed, keys included: a call's arguments are the caller's."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {map_text(key, change): map_text(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [map_text(item, change) for item in value]
    return value


def unused_characters(value: object, count: int) -> list[str]:
    """`count` noncharacters that no string in `value` contains. Raises InvalidRequest if too many are in use."""
    unused = dict.fromkeys(_NONCHARACTERS)

    def strike_out(text: str) -> str:
        for spelling in _ANY.findall(text):
            unused.pop(_BY_SPELLING[spelling], None)
        return text

    map_text(value, strike_out)
    if len(unused) < count:
        raise InvalidRequest("The messages use too many different Unicode noncharacters.", param="messages")
    return list(unused)[:count]


class ControlTokens:
    """A tokenizer's control tokens, ready to be found in text. Thread-safe."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        contents = sorted(filter(None, tokenizer.control_tokens), key=len, reverse=True)
        any_token = "|".join(map(re.escape, contents)) or "(?!)"  # the longest first; (?!) matches nothing
        self._start = re.compile(f"(?={any_token}).", re.DOTALL)
        self._whole = re.compile(f"({any_token})")
        self._beginnings = frozenset(content[:end] for content in contents for end in range(1, len(content)))
        self._longest = max(map(len, contents), default=0)
        self.first_characters = tuple(sorted({content[0] for content in contents}))

    def disarm(self, text: str, stand_ins: Mapping[str, str]) -> str:
        """`text` with a stand-in where a control token begins, or could begin with what the template puts next."""
        text = self._start.sub(lambda match: stand_ins[match[0]], text)
        for length in range(min(self._longest - 1, len(text)), 0, -1):
            if text[-length:] in self._beginnings:
                return text[:-length] + stand_ins[text[-length]] + text[len(text) - length + 1 :]
        return text

    def encode(self, prompt: str, stand_ins: Mapping[str, str]) -> list[int]:
        """Token ids of a rendered prompt. Without a stand-in in it: exactly `encode(prompt, special=True)`."""
        for stand_in in stand_ins.values():
            prompt = prompt.replace(_escaped(stand_in), stand_in)
        originals = {ord(stand_in): character for character, stand_in in stand_ins.items()}
        if not any(stand_in in prompt for stand_in in stand_ins.values()):
            return self._tokenizer.encode(prompt, special=True)
        ids: list[int] = []
        plain = ""  # pieces without stand-ins, encoded together: a token may take the space beside it
        for piece in self._whole.split(prompt):
            restored = piece.translate(originals)
            if restored == piece:
                plain += piece
                continue
            ids += self._tokenizer.encode(plain, special=True)
            ids += self._tokenizer.encode(restored, special=False)
            plain = ""
        return ids + self._tokenizer.encode(plain, special=True)
