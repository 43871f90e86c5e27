"""The product's server over a decoder that computes nothing: `python -m tests.bench.instant`. What is left is our work.

Everything else is the real thing: tokenizer, template, sampling over the whole vocabulary, events, HTTP.
"""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handler.api.app import create_app
from handler.chat.service import ChatService, ServedModel
from handler.engine.ports import KVArrays, KVSession
from handler.http_server import listen, serve_http
from handler.loading import load_chat_service
from handler.settings import Settings, load_settings

_FIRST_WORD, _WORDS = 1000, 30_000  # ids of ordinary words
# A fast model's step, asleep: without a pause the engine would be ahead of its readers, and wait for each.
_STEP_SECONDS = 0.002
_STRIDE = 7919  # a prime: no word comes twice, so nothing can be guessed from what came before


class InstantDecoder:
    """Says one word after the other. The logits are those of a real model in size, not in time."""

    context_window = 1_000_000
    prefill_chunk = 256

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size

    def open(self) -> KVSession:
        return InstantSession(self)

    def restore(self, token_ids: Sequence[int], _held: KVArrays) -> KVSession:
        return InstantSession(self, token_ids)

    def advance(self, sessions: Sequence[KVSession], token_ids: Sequence[int]) -> NDArray[np.float32]:
        rows = [session.forward([token]) for session, token in zip(sessions, token_ids, strict=True)]
        return np.concatenate(rows)


class InstantSession:
    """The tokens, and no KV."""

    nbytes = 0

    def __init__(self, decoder: InstantDecoder, token_ids: Sequence[int] = ()) -> None:
        self._decoder = decoder
        self.token_ids = list(token_ids)
        self._rows = np.empty((0, decoder.vocab_size), np.float32)
        self._said = np.zeros(0, np.int64)

    @property
    def length(self) -> int:
        return len(self.token_ids)

    @property
    def exact_length(self) -> int:
        return self.length

    def held(self, _length: int) -> KVArrays:
        return ()

    def forward(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
        self.token_ids.extend(token_ids)
        time.sleep(_STEP_SECONDS)
        if len(self._rows) != logits_rows:
            self._rows = np.zeros((logits_rows, self._decoder.vocab_size), np.float32)
            self._said = np.zeros(logits_rows, np.int64)
        places = np.arange(logits_rows)
        self._rows[places, self._said] = 0
        self._said = _FIRST_WORD + (self.length - places[::-1]) * _STRIDE % _WORDS
        self._rows[places, self._said] = 10
        return self._rows

    def truncate(self, length: int) -> None:
        del self.token_ids[length:]

    def fork(self, count: int) -> Sequence[KVSession]:
        return [InstantSession(self._decoder, self.token_ids) for _ in range(count)]

    def rest(self) -> None:
        """It shares no memory."""


def instant_model(settings: Settings) -> ServedModel:
    """The model that the settings name, with its decoder replaced and no prefix cache."""
    real = load_chat_service(settings).model
    return dataclasses.replace(real, decoder=InstantDecoder(real.decoder.vocab_size), prefixes=None)


if __name__ == "__main__":
    settings = load_settings()
    model = instant_model(settings)
    serve_http(create_app({model.name: ChatService(model)}), listen(settings.host, settings.port))
