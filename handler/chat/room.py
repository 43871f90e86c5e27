"""Whether an answer fits the memory that there would be for it alone. Pure; asked before the first token is run."""

from dataclasses import replace

from handler.engine.footprint import Footprint
from handler.engine.params import GenerationParams
from handler.errors import OutOfMemory


def fitted(
    params: GenerationParams, footprint: Footprint, *, prompt_tokens: int, window: int, room: int, param: str
) -> GenerationParams:
    """The same, if `params.n` answers to `prompt_tokens` fit `room` bytes. Where the request leaves their length open,
    it is what fits. `param`: the request field of the prompt.

    Raises OutOfMemory, which names the field that would have to be smaller.
    """
    asked = positions_of(params, prompt_tokens=prompt_tokens, window=window)
    if footprint.needed(asked, params.n) <= room:
        return params
    longest = footprint.longest(room, params.n)
    if params.max_tokens is None and prompt_tokens < longest:
        return replace(params, max_tokens=longest - prompt_tokens)
    least = prompt_tokens + 1 if params.max_tokens is None else asked
    if params.n > 1 and least <= footprint.longest(room, 1):
        fit = max(n for n in range(1, params.n) if least <= footprint.longest(room, n))
        raise OutOfMemory(
            f"{params.n} choices do not fit this server's memory: ask for 'n' of {fit} at most.", param="n"
        )
    if prompt_tokens < longest:
        raise OutOfMemory(
            f"{params.max_tokens} tokens after a prompt of {prompt_tokens} do not fit this server's memory: ask for"
            f" 'max_tokens' of {longest - prompt_tokens} at most.",
            param="max_tokens",
        )
    raise OutOfMemory(
        f"This server's memory holds {longest} tokens of prompt and answer. However, your '{param}' resulted in"
        f" {prompt_tokens} tokens. Please reduce the length of the {param}.",
        param=param,
        code="context_length_exceeded",
    )


def positions_of(params: GenerationParams, *, prompt_tokens: int, window: int) -> int:
    """How many tokens each of the answers may have at most, the prompt's included."""
    return window if params.max_tokens is None else min(window, prompt_tokens + params.max_tokens)
