"""Log-probabilities: of the model's own distribution, and which text they belong to. Pure."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from handler.engine.events import SampledToken, TokenLogprob
from handler.engine.sampling import most_likely


def sampled_token(
    logits: NDArray[np.float32], chosen: int, top: int, token_bytes: Callable[[int], bytes]
) -> SampledToken:
    """The chosen token and the `top` most likely ones, of raw logits float32 [vocab_size].

    `top` (0 to 20) counts the alternatives, most likely first, the lowest id first among equals. The chosen token is
    listed whenever any are: as one more, at the end, if it is not among them.
    """
    peak = logits.max()
    normaliser = float(peak) + float(np.log(np.exp(logits - peak).sum(dtype=np.float64)))

    def entry(token_id: int) -> TokenLogprob:
        return TokenLogprob(token_id=token_id, data=token_bytes(token_id), logprob=float(logits[token_id]) - normaliser)

    return SampledToken(
        chosen=entry(chosen),
        top=tuple(entry(token_id) for token_id in _listed(logits, top, chosen)) if top else (),
    )


def _listed(logits: NDArray[np.float32], count: int, chosen: int) -> list[int]:
    candidates = most_likely(logits, min(count, len(logits)))
    best = [int(i) for i in candidates[np.argsort(-logits[candidates], kind="stable")][:count]]
    return best if chosen in best else [*best, chosen]


class Attribution:
    """Hands each sampled token out with the text that completes it, so that their bytes join to the text's UTF-8.

    Bytes that are not UTF-8 are the one exception: their text is U+FFFD, and such tokens keep their own bytes.
    """

    def __init__(self) -> None:
        self._waiting: deque[SampledToken] = deque()
        self._surplus = 0  # bytes of text given out that belong to the first waiting token

    def add(self, token: SampledToken) -> None:
        """A token was generated; its text may still be held back."""
        self._waiting.append(token)

    def release(self, text: str) -> tuple[SampledToken, ...]:
        """`text` is given out: the tokens whose last byte is in it."""
        self._surplus += len(text.encode())
        released: list[SampledToken] = []
        while self._waiting and len(self._waiting[0].chosen.data) <= self._surplus:
            token = self._waiting.popleft()
            self._surplus -= len(token.chosen.data)
            released.append(token)
        if not self._waiting:
            self._surplus = 0  # it is already, unless there was a U+FFFD
        return tuple(released)

    def cut(self) -> tuple[SampledToken, ...]:
        """The text ended at a stop string: the token that it cut in two, with the bytes that were given out."""
        given_out = self._surplus
        waiting, self._waiting, self._surplus = self._waiting, deque(), 0
        if not (waiting and given_out):
            return ()
        token = waiting[0]
        return (replace(token, chosen=replace(token.chosen, data=token.chosen.data[:given_out])),)
