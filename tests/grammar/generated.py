"""Texts that follow a grammar and nothing else: every token is drawn at random from what the mask leaves."""

import numpy as np

from handler.engine.grammar import GrammarSpec
from handler.grammar.compiler import GrammarCompiler
from tests.fakes import END_OF_TEXT, IM_END, VOCAB_SIZE, FakeTokenizer

ENDS = (IM_END, END_OF_TEXT)
COMPILER = GrammarCompiler(FakeTokenizer(), vocab_size=VOCAB_SIZE, end_token_ids=ENDS)
# Closing is likelier than opening, and ASCII than the rest: else few texts would end.
_BIAS = np.zeros(VOCAB_SIZE, np.float32)
_BIAS[list(b'"}]')] = 3
_BIAS[list(b"{[eE")] = -1
_BIAS[list(ENDS)] = 2


def draw(spec: GrammarSpec, seed: int, *, limit: int = 3000) -> str | None:
    """One text; None if it was not over after `limit` tokens."""
    random = np.random.default_rng(seed)
    grammar = COMPILER.compile(spec, param="grammar")()
    data = bytearray()
    while not grammar.finished and len(data) < limit:
        row = random.gumbel(size=VOCAB_SIZE).astype(np.float32) + _BIAS
        grammar.mask(row)
        token_id = int(row.argmax())
        if token_id in ENDS:
            return data.decode()
        grammar.accept(token_id)
        data.append(token_id)
    return data.decode() if grammar.finished else None


def accepts(spec: GrammarSpec, text: str) -> bool:
    """Whether the grammar allows the text, byte by byte, and an end after it."""
    grammar = COMPILER.compile(spec, param="grammar")()
    for token_id in text.encode():
        row = np.zeros(VOCAB_SIZE, np.float32)
        grammar.mask(row)
        if row[token_id] != 0:
            return False
        grammar.accept(token_id)
    row = np.zeros(VOCAB_SIZE, np.float32)
    grammar.mask(row)
    return bool(row[IM_END] == 0)
