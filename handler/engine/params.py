"""How to generate: one frozen record whose defaults change nothing. Bounds are checked at the edge (api). Pure."""

from collections.abc import Mapping
from dataclasses import field

from handler.frozen import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationParams:
    """Everything that shapes one answer of `n` choices.

    `max_tokens` None means until the window is full. `temperature` 0 is greedy. `top_k` 0, `top_p` 1 and `min_p` 0 are
    off. `seed` may be any integer; each choice draws its own numbers from it. Penalties are OpenAI's, on the generated
    tokens; `repetition_penalty` is CTRL's, on prompt and answer, 1 is off. `logit_bias` maps token ids to −100…100.
    `stop_token_ids` end the answer as end tokens do; `ignore_eos` masks the model's own end tokens. `min_tokens` keeps
    all of these from being sampled before that many tokens, and stop strings from matching in their text.
    `top_logprobs` None means no log-probabilities, 0 only the chosen token's.
    """

    n: int = 1
    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    min_tokens: int = 0
    top_logprobs: int | None = None
