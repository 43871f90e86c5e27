"""The decode loop: prefill, then sample, emit, step, until something ends each choice. Pure."""

from collections.abc import Callable, Collection, Generator, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from handler.engine.choice import Choice
from handler.engine.events import Event, Finished, Prefilling, Usage
from handler.engine.params import GenerationParams
from handler.engine.ports import Decoder, Grammar, KVBatch, KVSession, StopScope, Tokenizer

Rows = NDArray[np.float32]


def generate(
    decoder: Decoder,
    tokenizer: Tokenizer,
    prompt_ids: Sequence[int],
    params: GenerationParams,
    end_token_ids: Collection[int],
    *,
    should_stop: Callable[[], bool],
    grammar: Callable[[], Grammar] | None = None,
    stop_scope: Callable[[], StopScope] | None = None,
) -> Generator[Event, None, None]:
    """`params.n` answers to `prompt_ids` (at least one, fewer than the window), each within `grammar()`, stop strings
    matched within `stop_scope()`.

    Yields `Prefilling`s, `Delta`s, one `Stopped` for each choice, one `Finished`. A choice ends with `stop` at an end
    token, one of `stop_token_ids`, a stop string or where its grammar can only end, and with `length` at `max_tokens`,
    at the end of the window, or as soon as `should_stop()` is true, which is asked before each forward call. One Delta
    follows each token but the end token, with the text that has become final: a step is never longer than one forward
    call. What is still held at the end is a last Delta. Closing the iterator drops the KV session.
    Raises ValueError for a prompt that is empty or leaves no room.
    """
    room = decoder.context_window - len(prompt_ids)
    if not prompt_ids or room < 1:
        raise ValueError(f"{len(prompt_ids)} prompt tokens do not fit a window of {decoder.context_window}")
    choices = [
        Choice(
            index,
            params,
            tokenizer,
            prompt_ids,
            end_token_ids,
            None if grammar is None else grammar(),
            vocab_size=decoder.vocab_size,
            limit=room if params.max_tokens is None else min(room, params.max_tokens),
            stop_scope=None if stop_scope is None else stop_scope(),
        )
        for index in range(params.n)
    ]
    session = decoder.open()
    row = yield from _prefill(session, prompt_ids, decoder.prefill_chunk, should_stop)
    if row is not None and len(choices) == 1:
        yield from _decode(session, choices[0], row, decoder.prefill_chunk, should_stop)
    elif row is not None:
        batch = session.fork(len(choices))
        del session
        yield from _decode_together(batch, choices, row, should_stop)
    for choice in choices:
        if not choice.closed:
            choice.stop("length")
            yield from choice.close()
    completion_tokens = sum(len(choice.generated) for choice in choices)
    yield Finished(usage=Usage(prompt_tokens=len(prompt_ids), completion_tokens=completion_tokens))


def _prefill(
    session: KVSession, prompt_ids: Sequence[int], chunk: int, should_stop: Callable[[], bool]
) -> Generator[Event, None, Rows | None]:
    """Runs the prompt, at most `chunk` tokens at a time. Returns the logits after it, [1, vocab_size]; None if told to
    stop."""
    logits: Rows | None = None
    while session.length < len(prompt_ids):
        if should_stop():
            return None
        start = session.length
        logits = session.forward(prompt_ids[start : start + chunk_at(start, chunk)])
        yield Prefilling(done=session.length, total=len(prompt_ids))
    return logits


def chunk_at(position: int, chunk: int) -> int:
    """How many prompt tokens to run from `position` on, where `chunk` is right at the start of a prompt.

    Half as many from 2,048, a quarter from 4,096, and so on, so that no step takes much longer than the first: at about
    2,000 positions attention costs as much as everything else together.
    """
    return max(1, chunk >> (position // 2048).bit_length())


def _decode(
    session: KVSession, choice: Choice, rows: Rows, chunk: int, should_stop: Callable[[], bool]
) -> Iterator[Event]:
    """Decodes the only choice to its end, or until told to stop; `rows`: the logits after the prompt."""
    while True:
        for row in rows:
            yield from choice.advance(row)
            if choice.ended is not None:
                yield from choice.close()
                return
        if should_stop():
            return
        tokens = choice.feed(chunk)
        wanted = choice.rows_wanted
        rows = session.forward(tokens, max(1, wanted))[:wanted]


def _decode_together(
    batch: KVBatch, choices: Sequence[Choice], rows: Rows, should_stop: Callable[[], bool]
) -> Iterator[Event]:
    """Decodes several choices, a token of each in one step, until all have ended, or until told to stop."""
    rows = np.repeat(rows, len(choices), axis=0)
    while True:
        for choice, row in zip(choices, rows, strict=True):
            if choice.rows_wanted:  # not so while it has forced tokens to feed
                yield from choice.advance(row)
                if choice.ended is not None:
                    yield from choice.close()
        going_on = [index for index, choice in enumerate(choices) if choice.ended is None]
        if not going_on or should_stop():
            return
        if len(going_on) < len(choices):
            choices = [choices[index] for index in going_on]
            batch.keep(going_on)
        rows = batch.forward([token_id for choice in choices for token_id in choice.feed(1)])
