"""Log-probabilities in the completions' legacy shape: four lists side by side, one entry for each token. Pure.

A token is named by its text; one that is only a part of a character as OpenAI names it, `bytes:\\xe2\\x80`; a control
token as it is written. Offsets count characters of the choice's text, the echoed prompt included.
"""

from collections.abc import Callable, Iterable

from handler.api.chunks import LOWEST_LOGPROB
from handler.api.values import Json, JsonObject
from handler.chat.completion import Echo
from handler.engine.events import SampledToken, TokenLogprob
from handler.engine.text import TextDecoder

LISTS = ("tokens", "token_logprobs", "top_logprobs", "text_offset")


class LegacyLogprobs:
    """One choice's log-probabilities, told piece by piece. `written` says how a token is written."""

    def __init__(self, written: Callable[[int], bytes]) -> None:
        self._written = written
        self._text = TextDecoder()
        self._offset = 0

    def echoed(self, echo: Echo) -> JsonObject:
        """Of the prompt's tokens; the first has none."""
        lists = _no_tokens()
        for token in echo.tokens:
            self._append(lists, _label(self._written(token.token_id)), token.shown, token.sampled)
        self._text, self._offset = TextDecoder(), len(echo.text)
        return dict(lists)

    def generated(self, tokens: Iterable[SampledToken]) -> JsonObject:
        """Of tokens of the answer."""
        lists = _no_tokens()
        for token in tokens:
            self._append(lists, self._name(token.chosen), token.chosen.data, token)
        return dict(lists)

    def _append(self, lists: dict[str, list[Json]], label: str, shown: bytes, sampled: SampledToken | None) -> None:
        lists["tokens"].append(label)
        lists["token_logprobs"].append(None if sampled is None else _finite(sampled.chosen.logprob))
        lists["top_logprobs"].append(None if sampled is None else self._top(sampled))
        lists["text_offset"].append(self._offset)
        self._offset += len(self._text.decode(shown))

    def _top(self, token: SampledToken) -> Json:
        top: JsonObject = {}
        for candidate in token.top or (token.chosen,):
            # Two tokens may be written alike: the more likely one comes first.
            top.setdefault(self._name(candidate), _finite(candidate.logprob))
        return top

    def _name(self, token: TokenLogprob) -> str:
        return _label(token.data or self._written(token.token_id))


def merged(pieces: Iterable[JsonObject]) -> JsonObject:
    """Pieces of one choice's log-probabilities as one."""
    lists = _no_tokens()
    for piece in pieces:
        for name, values in lists.items():
            more = piece[name]
            values.extend(more if isinstance(more, list) else ())
    return dict(lists)


def _no_tokens() -> dict[str, list[Json]]:
    return {name: [] for name in LISTS}


def _label(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def _finite(logprob: float) -> float:
    return max(logprob, LOWEST_LOGPROB)
