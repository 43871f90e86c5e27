"""The text of one choice: tokens' bytes → characters → what no stop string claims → Deltas. Pure."""

from collections.abc import Iterable

from handler.engine.events import Delta, SampledToken
from handler.engine.logprobs import Attribution
from handler.engine.ports import StopScope
from handler.engine.stop import StopMatcher
from handler.engine.text import TextDecoder


class Answer:
    """Turns generated tokens into final text. The text of the first `min_tokens` tokens cannot match a stop string, nor
    can what `scope` excludes; None: it excludes nothing."""

    def __init__(
        self, stops: tuple[str, ...], min_tokens: int, choice: int = 0, scope: StopScope | None = None
    ) -> None:
        self._text = TextDecoder()
        self._stops = StopMatcher(stops)
        self._attribution = Attribution()
        self._scope = scope
        self._exempt = min_tokens
        self._exempt_text = 0  # characters of those tokens that are not final
        self._choice = choice

    @property
    def stop_sequence(self) -> str | None:
        """The stop string that ended the answer."""
        return self._stops.matched

    def add(self, data: bytes, sampled: SampledToken | None) -> Delta:
        """One more token: its bytes and, where asked for, its log-probabilities. What became final: perhaps nothing."""
        if sampled is not None:
            self._attribution.add(sampled)
        text = self._text.decode(data)
        if self._exempt > 0:
            self._exempt -= 1
            self._exempt_text += len(text)
        return self._delta(self._final([(text, True)] if self._scope is None else self._scope.decode(text)))

    def finish(self) -> Delta:
        """The answer is over: what was held back; perhaps nothing."""
        rest = self._text.flush()
        pieces = [(rest, True)] if self._scope is None else [*self._scope.decode(rest), *self._scope.flush()]
        return self._delta(self._final(pieces) + self._stops.flush())

    def _final(self, pieces: Iterable[tuple[str, bool]]) -> str:
        final = ""
        for text, matched in pieces:
            if self.stop_sequence is not None:
                break
            exempt = min(self._exempt_text, len(text))
            self._exempt_text -= exempt
            final += text[:exempt]
            final += self._stops.decode(text[exempt:]) if matched else self._stops.flush() + text[exempt:]
        return final

    def _delta(self, text: str) -> Delta:
        tokens = self._attribution.release(text)
        if self.stop_sequence is not None:
            tokens += self._attribution.cut()
        return Delta(text=text, tokens=tokens, choice=self._choice)
