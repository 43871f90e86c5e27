"""A dummy prompt and a dummy answer of one token, so that no user's are the first. Pure.

The first step of each kind allocates what later ones find: the runtime's buffers, its threads, the KV cache's pages.
"""

from handler.engine.ports import Decoder

_PROMPT = 2  # tokens: the fewest that are a prompt; more warm nothing more


def warm_up(decoder: Decoder) -> None:
    """One step of prefill and one of decode, in a sequence that is then forgotten."""
    sequence = decoder.open()
    sequence.forward([0] * max(1, min(_PROMPT, decoder.context_window - 1)))
    if sequence.length < decoder.context_window:
        sequence.forward([0])
