"""A completion request: a JSON object in, typed values out. Pure; everything that can be said without the model.

Single fields are judged by their rows in `completion_fields`; here are the rules between fields.
"""

from handler.api import fields
from handler.api.completion_fields import (
    ADD_SPECIAL_TOKENS,
    BEST_OF,
    COMPLETION_FIELDS,
    ECHO,
    LOGPROBS,
    MAX_TOKENS,
    PROMPT,
)
from handler.api.formats import AnswerFormat
from handler.api.generation import choices, generation_params, include_usage, structured_outputs
from handler.api.unknown_keys import UnknownFields, find_unknown, settle_unknown
from handler.api.values import JsonObject
from handler.chat.completion import Prompt
from handler.engine.params import GenerationParams
from handler.errors import InvalidRequest, UnsupportedValue
from handler.frozen import dataclass

_NAMES = frozenset(row.name for row in COMPLETION_FIELDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """What was asked, and how the answer is to be sent. `dropped` lists unknown keys that a setting let pass."""

    model: str
    prompts: tuple[Prompt, ...]
    params: GenerationParams
    echo: bool = False
    add_start: bool = True
    answer_format: AnswerFormat | None = None
    stream: bool = False
    include_usage: bool = False
    dropped: tuple[str, ...] = ()


def read_completion_request(
    body: JsonObject, *, unknown_fields: UnknownFields = "reject", max_output_tokens: int = 0, max_choices: int = 8
) -> CompletionRequest:
    """The typed request. Drops unknown keys from `body` where the setting says so. Raises InvalidRequest.

    `max_output_tokens` caps every completion's length, in tokens; 0 is no cap. `max_choices` caps `n`.
    """
    _refuse_chat_body(body)
    dropped = settle_unknown(find_unknown(body, _NAMES), unknown_fields)
    for row in COMPLETION_FIELDS:
        if row.standing != "effective":
            row.of(body)
    stream = fields.STREAM.of(body)
    params = generation_params(
        body,
        max_tokens=MAX_TOKENS.of(body),
        top_logprobs=LOGPROBS.of(body),
        max_output_tokens=max_output_tokens,
        n=choices(body, max_choices),
    )
    _check_best_of(body, params.n)
    return CompletionRequest(
        model=fields.MODEL.of(body),
        prompts=PROMPT.of(body),
        params=params,
        echo=ECHO.of(body),
        add_start=ADD_SPECIAL_TOKENS.of(body),
        answer_format=structured_outputs(body),
        stream=stream,
        include_usage=include_usage(body, stream=stream),
        dropped=dropped,
    )


def _refuse_chat_body(body: JsonObject) -> None:
    if "prompt" not in body and "messages" in body:
        raise InvalidRequest(
            "This is a chat request: this endpoint takes 'prompt', not 'messages'. See /v1/chat/completions.",
            param="messages",
        )


def _check_best_of(body: JsonObject, n: int) -> None:
    if BEST_OF.of(body) not in (None, 1, n):
        raise UnsupportedValue(
            "Unsupported value: 'best_of' other than 'n' would compute completions and throw them away; this server"
            " does not. Leave it out, and choose among 'n' completions by their logprobs.",
            param="best_of",
        )
