"""The decode loop: prefill, then sample, emit, step, until something ends each choice. Pure."""

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import nullcontext

from handler.engine.choice import Choice
from handler.engine.events import Event, Finished, Usage
from handler.engine.params import GenerationParams
from handler.engine.ports import Decoder, Grammar, KVSession, StopScope, Tokenizer
from handler.engine.prefix_cache import Prefixes
from handler.engine.speculation import Proposer
from handler.engine.step import Feed, Rows, Step
from handler.engine.widths import chunk_end


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
    prefixes: Prefixes | None = None,
    speculation: Callable[[], Proposer] | None = None,
) -> Generator[Event, None, None]:
    """`params.n` answers to `prompt_ids` (at least one, fewer than the window), each within `grammar()`, stop strings
    matched within `stop_scope()`.

    Yields `Step`s, `Delta`s, one `Stopped` for each choice, one `Finished`. A choice ends with `stop` at an end
    token, one of `stop_token_ids`, a stop string or where its grammar can only end, and with `length` at `max_tokens`,
    at the end of the window, or as soon as `should_stop()` is true, which is asked before each Step. One Delta follows
    each token but the end token, with the text that has become final. What is still held at the end is a last Delta.
    Nothing runs between the events but what a Step holds. Closing the iterator drops the KV sessions.
    What `prefixes` know of the prompt is not run again; at the end they get the first choice's session.
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
            proposer=None if speculation is None or params.n > 1 else speculation(),
        )
        for index in range(params.n)
    ]
    with nullcontext(decoder.open()) if prefixes is None else prefixes.session(prompt_ids) as session:
        cached_tokens = session.length
        row = yield from _prefill(decoder, session, prompt_ids, should_stop)
        if row is not None:
            others = session.fork(params.n - 1) if params.n > 1 else ()
            sequences = list(zip(choices, [session, *others], strict=True))
            repeatable = params.seed is not None and not decoder.company_free
            yield from _decode(decoder, sequences, row, should_stop, repeatable=repeatable)
    for choice in choices:
        if not choice.closed:
            choice.stop("length")
            yield from choice.close()
    completion_tokens = sum(len(choice.generated) for choice in choices)
    yield Finished(
        usage=Usage(
            prompt_tokens=len(prompt_ids),
            completion_tokens=completion_tokens,
            cached_tokens=cached_tokens,
            accepted_prediction_tokens=sum(choice.accepted_prediction_tokens for choice in choices),
            rejected_prediction_tokens=sum(choice.rejected_prediction_tokens for choice in choices),
        )
    )


def _prefill(
    decoder: Decoder, session: KVSession, prompt_ids: Sequence[int], should_stop: Callable[[], bool]
) -> Generator[Event, None, Rows | None]:
    """Runs the prompt, a chunk at a time. Returns the logits after it, [1, vocab_size]; None if told to stop."""
    logits: Rows | None = None
    while session.length < len(prompt_ids):
        if should_stop():
            return None
        start = session.length
        end = chunk_end(start, len(prompt_ids), chunk_at(start, decoder.prefill_chunk))
        feed = Feed(session, prompt_ids[start:end])
        step = Step(decoder, (feed,))
        yield step
        step.run()
        logits = feed.logits
    return logits


def chunk_at(position: int, chunk: int) -> int:
    """How many prompt tokens to run from `position` on, where `chunk` is right at the start of a prompt.

    Half as many from 2,048, a quarter from 4,096, and so on, so that no step takes much longer than the first: at about
    2,000 positions attention costs as much as everything else together.
    """
    return max(1, chunk >> (position // 2048).bit_length())


def _decode(
    decoder: Decoder,
    sequences: list[tuple[Choice, KVSession]],
    row: Rows,
    should_stop: Callable[[], bool],
    *,
    repeatable: bool,
) -> Iterator[Event]:
    """Decodes each choice to its end, all of them in each step, or until told to stop; `row`: the logits after the
    prompt."""
    found = [row] * len(sequences)
    while True:
        ended = False
        for (choice, session), rows in zip(sequences, found, strict=True):
            yield from choice.advance(rows)
            if choice.surplus:
                session.truncate(session.length - choice.surplus)
            if choice.ended is not None:
                yield from choice.close()
                ended = True
        if ended:
            sequences = [(choice, session) for choice, session in sequences if choice.ended is None]
        if not sequences or should_stop():
            return
        feeds = [Feed(session, choice.feed(decoder.prefill_chunk)) for choice, session in sequences]
        for feed, (choice, _) in zip(feeds, sequences, strict=True):
            feed.wanted, feed.drafts = max(1, choice.rows_wanted), choice.draft()
        step = Step(decoder, feeds, repeatable=repeatable)
        yield step
        step.run()
        found = [feed.logits for feed in feeds]
