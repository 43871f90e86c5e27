"""The decode loop: prefill, then sample, emit, step, until something ends the answer. Pure."""

from collections.abc import Callable, Collection, Generator, Sequence

import numpy as np
from numpy.typing import NDArray

from handler.engine.answer import Answer
from handler.engine.events import Event, Finished, FinishReason, Prefilling, SampledToken, Usage
from handler.engine.logprobs import sampled_token
from handler.engine.params import GenerationParams
from handler.engine.ports import Decoder, Tokenizer
from handler.engine.processors import make_processors
from handler.engine.sampling import make_sampler


def generate(
    decoder: Decoder,
    tokenizer: Tokenizer,
    prompt_ids: Sequence[int],
    params: GenerationParams,
    end_token_ids: Collection[int],
    *,
    should_stop: Callable[[], bool],
) -> Generator[Event, None, None]:
    """One answer to `prompt_ids` (at least one, fewer than the window): `Prefilling`s, `Delta`s, one `Finished`.

    The answer ends with `stop` at an end token, one of `stop_token_ids` or a stop string, and with `length` at
    `max_tokens`, at the end of the window, or as soon as `should_stop()` is true, which is asked before each forward
    call. One Delta follows each token but the end token, with the text that has become final: a step is never longer
    than one forward call. What is still held at the end is a last Delta. Closing the iterator drops the KV session.
    Raises ValueError for a prompt that is empty or leaves no room.
    """
    room = decoder.context_window - len(prompt_ids)
    if not prompt_ids or room < 1:
        raise ValueError(f"{len(prompt_ids)} prompt tokens do not fit a window of {decoder.context_window}")
    limit = room if params.max_tokens is None else min(room, params.max_tokens)
    ends = {*params.stop_token_ids} if params.ignore_eos else {*end_token_ids, *params.stop_token_ids}
    sample = make_sampler(params, decoder.vocab_size)
    processors = make_processors(params, prompt_ids, end_token_ids, decoder.vocab_size)
    processed = np.empty(decoder.vocab_size, np.float32)
    answer = Answer(params.stop, params.min_tokens)
    generated: list[int] = []

    def finished(reason: FinishReason) -> Finished:
        usage = Usage(prompt_tokens=len(prompt_ids), completion_tokens=len(generated))
        return Finished(reason=reason, usage=usage, stop_sequence=answer.stop_sequence)

    def next_token(row: NDArray[np.float32]) -> int:
        if processors:
            np.copyto(processed, row)
            row = processed
        for process in processors:
            process(generated, row)
        return sample(row)

    def sampled(row: NDArray[np.float32], token_id: int) -> SampledToken | None:
        top = params.top_logprobs
        return None if top is None else sampled_token(row, token_id, top, tokenizer.token_bytes)

    session = decoder.open()
    logits = np.empty((0, decoder.vocab_size), np.float32)
    for start in range(0, len(prompt_ids), decoder.prefill_chunk):
        if should_stop():
            yield finished("length")
            return
        logits = session.forward(prompt_ids[start : start + decoder.prefill_chunk])
        yield Prefilling(done=session.length, total=len(prompt_ids))

    reason: FinishReason = "length"
    while True:
        token_id = next_token(logits[-1])
        generated.append(token_id)
        if token_id in ends:
            reason = "stop"
            break
        yield answer.add(tokenizer.token_bytes(token_id), sampled(logits[-1], token_id))
        if answer.stop_sequence is not None or len(generated) == limit or should_stop():
            break
        logits = session.forward((token_id,))

    if (rest := answer.finish()).text or rest.tokens:
        yield rest
    yield finished(reason if answer.stop_sequence is None else "stop")
