"""Stop strings: text in, text that no stop string can still claim out. Pure.

The answer ends where a stop string is first complete. Of stop strings that are complete at the same character the
longest wins, so `stop: ["b", "ab"]` cuts all of `ab`. Whether a text matches does not depend on how it is split, and no
character is held longer than some stop string could still begin with it.

Each stop string runs its own Knuth-Morris-Pratt automaton: a character costs amortised constant time for each of them,
whatever their lengths.
"""

from collections.abc import Iterable


class _Automaton:
    """How much of the beginning of one stop string the text seen so far ends with."""

    __slots__ = ("_fallback", "_stop", "state")

    def __init__(self, stop: str) -> None:
        self._stop = stop
        self.state = 0  # in characters
        # _fallback[n]: the longest proper prefix of the first n characters that they also end with
        self._fallback = fallback = [0, 0]
        length = 0
        for character in stop[1:]:
            while length and character != stop[length]:
                length = fallback[length]
            length += character == stop[length]
            fallback.append(length)

    def step(self, character: str) -> bool:
        """Takes one character; true when the stop string is complete."""
        state = self.state
        while state and self._stop[state] != character:
            state = self._fallback[state]
        self.state = state = state + (self._stop[state] == character)
        return state == len(self._stop)


class StopMatcher:
    """One answer's stop strings. After `matched` is set it gives out nothing more. Empty stop strings are none."""

    def __init__(self, stops: Iterable[str]) -> None:
        self.matched: str | None = None
        self._stops = tuple(dict.fromkeys(filter(None, stops)))
        self._automata = tuple(map(_Automaton, self._stops))
        self._held = ""  # the longest beginning of a stop string that the text ends with

    def decode(self, text: str) -> str:
        """The text that is now final, without the stop string."""
        if self.matched is not None:
            return ""
        text_so_far = self._held + text
        for position, character in enumerate(text, start=len(self._held) + 1):
            complete = [
                stop for stop, automaton in zip(self._stops, self._automata, strict=True) if automaton.step(character)
            ]
            if complete:
                self.matched = max(complete, key=len)
                self._held = ""
                return text_so_far[: position - len(self.matched)]
        final = len(text_so_far) - max((automaton.state for automaton in self._automata), default=0)
        self._held = text_so_far[final:]
        return text_so_far[:final]

    def flush(self) -> str:
        """What is held: no stop string will claim it. Matching begins anew with what follows."""
        held, self._held = self._held, ""
        for automaton in self._automata:
            automaton.state = 0
        return held
