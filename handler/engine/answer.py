"""The text of one choice: tokens' bytes → characters → what no stop string claims → Deltas. Pure."""

from handler.engine.events import Delta, SampledToken
from handler.engine.logprobs import Attribution
from handler.engine.stop import StopMatcher
from handler.engine.text import TextDecoder


class Answer:
    """Turns generated tokens into final text. The text of the first `min_tokens` tokens cannot match a stop string."""

    def __init__(self, stops: tuple[str, ...], min_tokens: int, choice: int = 0) -> None:
        self._text = TextDecoder()
        self._stops = StopMatcher(stops)
        self._attribution = Attribution()
        self._exempt = min_tokens
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
        else:
            text = self._stops.decode(text)
        return self._delta(text)

    def finish(self) -> Delta:
        """The answer is over: what was held back; perhaps nothing."""
        return self._delta(self._stops.decode(self._text.flush()) + self._stops.flush())

    def _delta(self, text: str) -> Delta:
        tokens = self._attribution.release(text)
        if self.stop_sequence is not None:
            tokens += self._attribution.cut()
        return Delta(text=text, tokens=tokens, choice=self._choice)
