"""Log-probabilities of a given text: what the model thought of each of its tokens before it saw them. Pure."""

from collections.abc import Callable, Generator, Sequence

from handler.engine.events import SampledToken
from handler.engine.logprobs import sampled_token
from handler.engine.ports import Decoder, Tokenizer
from handler.engine.step import Feed, Step

_MOST_LOGITS = 2**23  # numbers held at once: 32 MB


def score(
    decoder: Decoder,
    tokenizer: Tokenizer,
    token_ids: Sequence[int],
    top: int,
    *,
    should_stop: Callable[[], bool],
) -> Generator[Step, None, tuple[SampledToken, ...]]:
    """Runs `token_ids` (at most the window) and returns the log-probability of each but the first, which has none.

    `top` (0 to 20) counts the alternatives listed for each token. Yields each `Step`. Once `should_stop()` is true,
    which is asked before each, it returns those of the first so many tokens.
    """
    session = decoder.open()
    length = min(decoder.prefill_chunk, max(1, _MOST_LOGITS // decoder.vocab_size))
    scored: list[SampledToken] = []
    seen = token_ids[:-1]  # the logits after a token are about the next one; after the last there is none
    for start in range(0, len(seen), length):
        if should_stop():
            break
        chunk = seen[start : start + length]
        feed = Feed(session, chunk, wanted=len(chunk))
        step = Step(decoder, (feed,))
        yield step
        step.run()
        next_ids = token_ids[start + 1 : start + 1 + len(chunk)]
        scored += [
            sampled_token(row, token_id, top, tokenizer.token_bytes)
            for row, token_id in zip(feed.logits, next_ids, strict=True)
        ]
    return tuple(scored)
