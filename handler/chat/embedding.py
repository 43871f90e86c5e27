"""The embedding service: texts become tokens, tokens become vectors, in steps. Pure.

Tokenizing is done in steps too: two thousand long texts take longer than a running stream should wait. So a text that
is too long is found on the way; nothing has been answered by then.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Protocol

from handler.chat.long_text import refuse_far_too_long
from handler.engine.embedding import Embedded, Encoder, Vectors, embed
from handler.engine.events import Finished, Usage
from handler.errors import ContextLengthExceeded, InvalidRequest, PromptTooLong
from handler.frozen import dataclass

_STEP_CHARACTERS = 16_384  # tokenized in one step: some milliseconds

EmbeddingInput = str | tuple[int, ...]
"""One text, or its tokens."""


class TextEncoder(Protocol):
    """The tokenizer of an embedding model."""

    def encode(self, text: str) -> list[int]:
        """The text's token ids between the model's start and end tokens. Control tokens written in it stay text."""
        ...

    def complete(self, token_ids: Sequence[int]) -> list[int]:
        """The same for tokens: start and end tokens are put around them where they are not there yet."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingModel:
    """A loaded embedding model. `created` is in Unix seconds, `dimensions` the length of its own vectors."""

    name: str
    created: int
    encoder: Encoder
    tokenizer: TextEncoder
    vectors: Vectors
    dimensions: int


@dataclass(frozen=True, slots=True)
class Tokenized:
    """`done` of `total` texts are tokens: a place to interleave other work or to stop."""

    done: int
    total: int


EmbeddingEvent = Tokenized | Embedded | Finished


class PreparedEmbedding:
    """A request whose single values are right. `prompt_tokens` counts what has been tokenized so far."""

    def __init__(
        self, model: EmbeddingModel, inputs: Sequence[tuple[str, EmbeddingInput]], shape: Vectors, max_tokens: int = 0
    ) -> None:
        self._model = model
        self._max_tokens = max_tokens
        self._inputs = inputs
        self._shape = shape
        self.prompt_tokens = 0
        self.nbytes = 0  # a batch is small, and the model's own

    @property
    def most_tokens(self) -> int:
        """Each text's bytes, and a token before and behind it, but no more than the window holds."""
        window = self._model.encoder.context_window
        lengths = (len(given.encode()) if isinstance(given, str) else len(given) for _, given in self._inputs)
        return sum(min(window, length + 2) for length in lengths)

    def events(self, should_stop: Callable[[], bool] = lambda: False) -> Generator[EmbeddingEvent, None, None]:
        """`Tokenized` now and then while tokenizing, then `Embedded` for each batch, and one `Finished`.

        Raises ContextLengthExceeded for the first text that does not fit, PromptTooLong where all of them do not,
        DeadlineExceeded once `should_stop()`.
        """
        texts: list[list[int]] = []
        characters = 0
        for path, given in self._inputs:
            texts.append(self._tokens(path, given))
            characters += len(given)
            if characters >= _STEP_CHARACTERS:
                characters = 0
                yield Tokenized(len(texts), len(self._inputs))
        self.prompt_tokens = sum(map(len, texts))
        if self._max_tokens and self.prompt_tokens > self._max_tokens:
            raise PromptTooLong(prompt_tokens=self.prompt_tokens, most=self._max_tokens, param="input")
        yield from embed(self._model.encoder, texts, self._shape, should_stop)
        yield Finished(usage=Usage(prompt_tokens=self.prompt_tokens, completion_tokens=0))

    def _tokens(self, path: str, given: EmbeddingInput) -> list[int]:
        tokenizer, window = self._model.tokenizer, self._model.encoder.context_window
        if isinstance(given, str):
            refuse_far_too_long(tokenizer.encode, given, window=window, param=path)
        token_ids = tokenizer.encode(given) if isinstance(given, str) else tokenizer.complete(given)
        if len(token_ids) > window:
            raise ContextLengthExceeded(prompt_tokens=len(token_ids), context_window=window, param=path)
        if not token_ids:
            raise InvalidRequest(f"Invalid '{path}': the model finds no token in it.", param=path)
        return token_ids


class EmbeddingService:
    """Prepares embeddings with one model."""

    def __init__(self, model: EmbeddingModel) -> None:
        self.model = model

    def prepare(
        self, inputs: Sequence[tuple[str, EmbeddingInput]], *, dimensions: int | None, max_tokens: int = 0
    ) -> PreparedEmbedding:
        """`inputs` are pairs of a field's path and its value; `max_tokens` bounds all together, 0: nothing does.

        Raises InvalidRequest for token ids that the vocabulary lacks and for more dimensions than there are.
        """
        own = self.model.dimensions
        if dimensions is not None and dimensions > own:
            raise InvalidRequest(
                f"Invalid 'dimensions': this model's embeddings have {own} dimensions, ask for 1 to {own}.",
                param="dimensions",
            )
        vocabulary = self.model.encoder.vocab_size
        for path, given in inputs:
            if not isinstance(given, str) and max(given) >= vocabulary:
                raise InvalidRequest(
                    f"Invalid '{path}': token ids of this model are 0 to {vocabulary - 1}. Send text, or tokens of this"
                    " model's own tokenizer.",
                    param=path,
                )
        own_shape = self.model.vectors
        shape = Vectors(pooling=own_shape.pooling, normalize=own_shape.normalize, dimensions=dimensions)
        return PreparedEmbedding(self.model, inputs, shape, max_tokens)

    def warm(self) -> None:
        """Runs the model once, so that no request pays for what it allocates."""
        for _ in self.prepare((("input", "Hello."),), dimensions=None).events():
            pass
