"""A chat completion request: a JSON object in, typed values out. Pure; everything that can be said without the model.

Single fields are judged by their rows in `fields`; here are the rules between fields.
"""

from dataclasses import dataclass
from typing import Literal

from handler.api import fields
from handler.api.unknown_keys import drop_unknown, refuse_unknown
from handler.api.values import JsonObject
from handler.chat.conversation import Conversation, TemplateOptions
from handler.engine.params import GenerationParams
from handler.errors import InvalidRequest

UnknownFields = Literal["reject", "drop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """What was asked, and how the answer is to be sent. `dropped` lists unknown keys that a setting let pass."""

    model: str
    conversation: Conversation
    params: GenerationParams
    template: TemplateOptions
    stream: bool
    include_usage: bool
    dropped: tuple[str, ...] = ()


def read_chat_request(
    body: JsonObject, *, unknown_fields: UnknownFields = "reject", max_output_tokens: int = 0
) -> ChatRequest:
    """The typed request. Drops unknown keys from `body` where the setting says so. Raises InvalidRequest.

    `max_output_tokens` caps every answer's length, in tokens; 0 is no cap.
    """
    _refuse_responses_body(body)
    dropped: tuple[str, ...] = ()
    if unknown_fields == "drop":
        dropped = drop_unknown(body)
    else:
        refuse_unknown(body)
    for row in fields.FIELDS:
        if row.standing != "effective":
            row.of(body)
    stream = fields.STREAM.of(body)
    return ChatRequest(
        model=fields.MODEL.of(body),
        conversation=Conversation(messages=fields.MESSAGES.of(body)),
        params=_params(body, max_output_tokens),
        template=_template(body),
        stream=stream,
        include_usage=_include_usage(body, stream=stream),
        dropped=dropped,
    )


def _refuse_responses_body(body: JsonObject) -> None:
    # Cursor posts these to the chat path.
    if "messages" not in body and "input" in body:
        raise InvalidRequest(
            "This is a request of the Responses API: this endpoint takes 'messages', not 'input'. See /v1/responses.",
            param="input",
        )


def _params(body: JsonObject, max_output_tokens: int) -> GenerationParams:
    max_tokens = _max_tokens(body)
    min_tokens = fields.MIN_TOKENS.of(body)
    if max_tokens is not None and min_tokens > max_tokens:
        raise InvalidRequest("'min_tokens' must not be greater than the maximum of tokens.", param="min_tokens")
    if max_output_tokens:
        max_tokens = max_output_tokens if max_tokens is None else min(max_tokens, max_output_tokens)
    seed = fields.SEED.of(body)
    return GenerationParams(
        max_tokens=max_tokens,
        temperature=fields.TEMPERATURE.of(body),
        top_p=fields.TOP_P.of(body),
        top_k=max(fields.TOP_K.of(body), 0),
        min_p=fields.MIN_P.of(body),
        # Random generators take no negative seeds: the same 64 bits, read as unsigned.
        seed=None if seed is None else seed % 2**64,
        presence_penalty=fields.PRESENCE_PENALTY.of(body),
        frequency_penalty=fields.FREQUENCY_PENALTY.of(body),
        repetition_penalty=fields.REPETITION_PENALTY.of(body),
        logit_bias=fields.LOGIT_BIAS.of(body),
        stop=fields.STOP.of(body),
        stop_token_ids=fields.STOP_TOKEN_IDS.of(body),
        ignore_eos=fields.IGNORE_EOS.of(body),
        min_tokens=min_tokens,
        top_logprobs=_top_logprobs(body),
    )


def _max_tokens(body: JsonObject) -> int | None:
    newer, older = fields.MAX_COMPLETION_TOKENS.of(body), fields.MAX_TOKENS.of(body)
    if newer is not None and older is not None and newer != older:
        raise InvalidRequest(
            "'max_tokens' and 'max_completion_tokens' are two names of one bound: send one of them.", param="max_tokens"
        )
    return older if newer is None else newer


def _top_logprobs(body: JsonObject) -> int | None:
    wanted, count = fields.LOGPROBS.of(body), fields.TOP_LOGPROBS.of(body)
    if count is not None and not wanted:
        raise InvalidRequest("'top_logprobs' is only allowed when 'logprobs' is true.", param="top_logprobs")
    return (count or 0) if wanted else None


def _template(body: JsonObject) -> TemplateOptions:
    open_turn, continue_final = fields.ADD_GENERATION_PROMPT.of(body), fields.CONTINUE_FINAL_MESSAGE.of(body)
    if open_turn and continue_final:
        raise InvalidRequest(
            "'continue_final_message' and 'add_generation_prompt' exclude each other.", param="continue_final_message"
        )
    return TemplateOptions(
        add_generation_prompt=not continue_final if open_turn is None else open_turn,
        continue_final_message=continue_final,
        template_kwargs=fields.CHAT_TEMPLATE_KWARGS.of(body),
    )


def _include_usage(body: JsonObject, *, stream: bool) -> bool:
    options = fields.STREAM_OPTIONS.of(body)
    if options is None:
        return False
    if not stream:
        raise InvalidRequest("'stream_options' is only allowed when 'stream' is true.", param="stream_options")
    fields.INCLUDE_OBFUSCATION.of(options)
    return fields.INCLUDE_USAGE.of(options)
