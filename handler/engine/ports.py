"""What the engine needs from outside: a decoder, a tokenizer, a grammar. Pure: Protocols only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handler.engine.grammar import GrammarSpec

# The KV of one sequence, in a form of the decoder's own.
KVArrays = Sequence[NDArray[Any]]


class KVSource(Protocol):
    """KV that a sequence may begin with."""

    @property
    def token_ids(self) -> Sequence[int]:
        """The token of each position held."""
        ...

    def held(self, length: int) -> KVArrays:
        """Views of the KV of the first `length` positions, for `Decoder.restore`."""
        ...


class KVSession(KVSource, Protocol):
    """One sequence's KV cache on a decoder. Not thread-safe: one owner at a time."""

    @property
    def length(self) -> int:
        """Positions held, in tokens."""
        ...

    @property
    def exact_length(self) -> int:
        """Of how many of the first positions the KV is what a prefill makes of them, to the bit, in whatever chunks.

        That of tokens which came one at a time is not: see `handler.engine.widths`.
        """
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of the KV buffers held, room to grow included."""
        ...

    def forward(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
        """Appends `token_ids` (at least one) and returns the logits after the last `logits_rows` of them.

        Returns float32 [logits_rows, vocab_size]; a view that the next call overwrites.
        Raises ValueError if the sequence would outgrow the context window.
        """
        ...

    def truncate(self, length: int) -> None:
        """Forgets every position from `length` on. Raises ValueError if `length` exceeds the positions held."""
        ...

    def fork(self, count: int) -> "Sequence[KVSession]":
        """`count` copies of the sequence, at least one, each a session of its own. The sequence stays as it is."""
        ...

    def rest(self) -> None:
        """It will not be stepped for long: it gives up memory that it shares with others."""
        ...


class Decoder(Protocol):
    """A loaded decoder-only model. Thread-safe: sessions of one decoder may step in different threads.

    But for those that have advanced together: they belong to one thread from then on.
    """

    @property
    def vocab_size(self) -> int: ...

    @property
    def context_window(self) -> int:
        """Tokens, prompt and answer together."""
        ...

    @property
    def prefill_chunk(self) -> int:
        """How many prompt tokens one forward call should take at most."""
        ...

    @property
    def company_free(self) -> bool:
        """Whether sequences that share a step round as each does alone, to the bit."""
        ...

    def open(self) -> KVSession:
        """A new, empty sequence."""
        ...

    def restore(self, token_ids: Sequence[int], held: KVArrays) -> KVSession:
        """A new sequence of `token_ids`, whose KV is copied from `held`."""
        ...

    def advance(self, sessions: Sequence[KVSession], token_ids: Sequence[int]) -> NDArray[np.float32]:
        """Appends one token to each of several sessions of this decoder, of any lengths, in one step.

        Returns float32 [len(sessions), vocab_size], the logits after each token; a view that the next call overwrites.
        Raises ValueError, and then no session has changed, if one of them would outgrow the context window.
        """
        ...


class Tokenizer(Protocol):
    """The model's tokenizer. `token_bytes` is the one truth about text: an answer is the join of its tokens' bytes."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def control_tokens(self) -> Mapping[str, int]:
        """The control tokens as they are written in a chat template (`<|im_start|>`), each with its id."""
        ...

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`, with no start or end token added.

        With `special`, control tokens written in `text` (`<|im_start|>`) become their ids; without, they stay text.
        """
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that the token stands for; empty for a control token and for an id outside the vocabulary."""
        ...

    def piece(self, token_id: int) -> str:
        """The vocabulary's own name of the token (`Ġthe`, `▁the`, `<|im_end|>`); empty for an id outside of it."""
        ...

    def is_special(self, token_id: int) -> bool:
        """Whether the id is a control token."""
        ...


class Grammar(Protocol):
    """What one choice may say, followed token by token. Not thread-safe."""

    def mask(self, row: NDArray[np.float32]) -> None:
        """Sets what may not come next to −inf, in place. End tokens stay only where the text may end.

        `row`: float32 [vocab_size], C-contiguous.
        """
        ...

    def accept(self, token_id: int) -> None:
        """The token has been chosen; it is one that `mask` left or `forced` named, and no end token."""
        ...

    def forced(self) -> Sequence[int]:
        """The tokens that have to follow now; perhaps none. They still have to be accepted."""
        ...

    @property
    def finished(self) -> bool:
        """Whether nothing but an end can follow."""
        ...


class StopScope(Protocol):
    """Tells in which parts of one choice's text stop strings are matched. Pieces are (text, whether they are matched
    in it) and join to the text."""

    def decode(self, text: str) -> Sequence[tuple[str, bool]]:
        """What has become certain by `text`."""
        ...

    def flush(self) -> Sequence[tuple[str, bool]]:
        """The answer is over: what was held."""
        ...


class GrammarCompiler(Protocol):
    """Makes grammars for one model. Thread-safe."""

    def compile(self, spec: GrammarSpec, *, param: str) -> Callable[[], Grammar]:
        """What starts the grammar anew for each choice.

        Raises InvalidRequest or UnsupportedValue for what cannot be enforced: it names `param` as the request's field.
        """
        ...
