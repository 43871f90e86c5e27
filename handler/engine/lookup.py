"""Prompt look-up: a text that an answer may be repeating, and where in it the answer is by now. Pure.

The answer's last two tokens are looked up; of the places where the text has them too, the one with the longest common
past is followed for as long as the answer goes the same way. So a token costs a look into a dictionary, and a bounded
number of comparisons where the answer leaves the text. The dictionary is made when it is first looked into: a long text
is a millisecond of it. After prompt lookup decoding (Saxena, 2023).
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

# How far back two places are compared, in tokens: a longer common past says nothing new.
LONGEST_MATCH = 8
# How many places are compared on each side of the one that was followed last: the nearest.
_CANDIDATES = 8


class Lookup:
    """One text. `matched`: how many of the answer's last tokens the text has too, before what it would go on with;
    `LONGEST_MATCH` at most, 0 where the answer is not in the text."""

    def __init__(self, text: Iterable[int], *, answer_begins_here: bool = False) -> None:
        self.matched = LONGEST_MATCH if answer_begins_here else 0
        self._cursor = 0  # the place of what follows; where the answer has left the text, of what it left out first
        self._text = list(text)
        self._places: dict[tuple[int, int], list[int]] = {}  # two tokens → the places that follow them, ascending
        self._indexed = 2  # the first place that is not in there yet

    def extend(self, token_id: int) -> None:
        """The text has one more token."""
        self._text.append(token_id)

    def follow(self, tokens: Sequence[int]) -> None:
        """The answer has one more token; `tokens`: the prompt and the answer."""
        if self.matched and self._text[self._cursor : self._cursor + 1] == [tokens[-1]]:
            self._cursor += 1
            self.matched = min(self.matched + 1, LONGEST_MATCH)
        else:
            self._find(tokens)

    def draft(self, most: int) -> tuple[int, ...]:
        """What follows in the text, `most` tokens at most."""
        return tuple(self._text[self._cursor : self._cursor + most]) if self.matched else ()

    def _index(self) -> None:
        text = self._text
        for place in range(self._indexed, len(text)):
            self._places.setdefault((text[place - 2], text[place - 1]), []).append(place)
        self._indexed = max(self._indexed, len(text))

    def _find(self, tokens: Sequence[int]) -> None:
        self._index()
        places = self._places.get((tokens[-2], tokens[-1]), ()) if len(tokens) >= 2 else ()
        behind = bisect_left(places, self._cursor)
        self.matched = 0
        # On equal terms, the place nearest behind the one that was left: edits mostly keep a text's order.
        for place in (*places[behind : behind + _CANDIDATES], *places[max(0, behind - _CANDIDATES) : behind][::-1]):
            matched = self._common_past(place, tokens)
            if matched > self.matched:
                self._cursor, self.matched = place, matched

    def _common_past(self, place: int, tokens: Sequence[int]) -> int:
        longest = min(place, len(tokens), LONGEST_MATCH)
        pairs = zip(range(place - 1, place - 1 - longest, -1), range(-1, -1 - longest, -1), strict=True)
        matched = 0
        for here, there in pairs:
            if self._text[here] != tokens[there]:
                break
            matched += 1
        return matched
