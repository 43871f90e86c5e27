"""What a generation yields: Steps, and between them frozen typed events; one `Stopped` for each choice, and `Finished`
last. Pure."""

from typing import Literal

from handler.engine.step import Step
from handler.frozen import dataclass

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprob:
    """One candidate token. `logprob` is natural, from the model's own distribution (before bias, penalties,
    temperature and masks); `data` holds the token's bytes."""

    token_id: int
    data: bytes
    logprob: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledToken:
    """A generated token with the alternatives that were asked for (most likely first, the chosen one always listed)."""

    chosen: TokenLogprob
    top: tuple[TokenLogprob, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """One more token of a choice, and the text that is final by it: none while a character is incomplete or a stop
    string may begin. `tokens` are the generated tokens that the text consists of; empty where nobody asked for
    log-probabilities.
    """

    text: str
    tokens: tuple[SampledToken, ...] = ()
    choice: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A choice has ended: nothing follows of it. `stop_sequence` is the matched stop string, if one ended it."""

    reason: FinishReason
    stop_sequence: str | None = None
    choice: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts. `completion_tokens` counts every token of every choice, end tokens included.

    `accepted_prediction_tokens` of them were guessed from the request's prediction; `rejected_prediction_tokens` more
    were tried and thrown away: they are in no other count.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The last event."""

    usage: Usage


Event = Step | Delta | Stopped | Finished
