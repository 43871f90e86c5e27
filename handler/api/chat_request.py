"""A chat completion request: a JSON object in, typed values out. Pure; everything that can be said without the model.

Single fields are judged by their rows in `fields`; here are the rules between fields.
"""

from handler.api import fields
from handler.api.formats import AnswerFormat
from handler.api.generation import choices, generation_params, include_usage, structured_outputs
from handler.api.tool_rules import chat_tools
from handler.api.unknown_keys import UnknownFields, find_unknown, settle_unknown
from handler.api.values import JsonObject
from handler.chat.conversation import Conversation, Message, TemplateOptions
from handler.chat.tools import ChatTools
from handler.engine.params import GenerationParams
from handler.errors import InvalidRequest, UnsupportedValue
from handler.frozen import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """What was asked, and how the answer is to be sent. `dropped` lists unknown keys that a setting let pass."""

    model: str
    conversation: Conversation
    params: GenerationParams
    template: TemplateOptions
    tools: ChatTools | None = None
    answer_format: AnswerFormat | None = None
    prediction: str | None = None
    stream: bool
    include_usage: bool
    dropped: tuple[str, ...] = ()


def read_chat_request(
    body: JsonObject, *, unknown_fields: UnknownFields = "reject", max_output_tokens: int = 0, max_choices: int = 8
) -> ChatRequest:
    """The typed request. Drops unknown keys from `body` where the setting says so. Raises InvalidRequest.

    `max_output_tokens` caps every answer's length, in tokens; 0 is no cap. `max_choices` caps `n`.
    """
    _refuse_responses_body(body)
    dropped = settle_unknown(find_unknown(body), unknown_fields)
    for row in fields.FIELDS:
        if row.standing != "effective":
            row.of(body)
    stream, answer_format = fields.STREAM.of(body), _format(body)
    n = choices(body, max_choices)
    return ChatRequest(
        model=fields.MODEL.of(body),
        conversation=Conversation(messages=(*_told(answer_format), *fields.MESSAGES.of(body))),
        params=generation_params(
            body,
            max_tokens=_max_tokens(body),
            top_logprobs=_top_logprobs(body),
            max_output_tokens=max_output_tokens,
            n=n,
        ),
        template=template_options(body),
        tools=chat_tools(body),
        answer_format=answer_format,
        prediction=_prediction(body, n),
        stream=stream,
        include_usage=include_usage(body, stream=stream),
        dropped=dropped,
    )


def _refuse_responses_body(body: JsonObject) -> None:
    # Cursor posts these to the chat path.
    if "messages" not in body and "input" in body:
        raise InvalidRequest(
            "This is a request of the Responses API: this endpoint takes 'messages', not 'input'. See /v1/responses.",
            param="input",
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


def _prediction(body: JsonObject, n: int) -> str | None:
    predicted = fields.PREDICTION.of(body)
    if predicted is not None and n > 1:
        raise UnsupportedValue("'prediction' is only allowed with one choice: leave out 'n'.", param="prediction")
    return predicted


def template_options(body: JsonObject) -> TemplateOptions:
    """How the template is to render. Raises InvalidRequest."""
    open_turn, continue_final = fields.ADD_GENERATION_PROMPT.of(body), fields.CONTINUE_FINAL_MESSAGE.of(body)
    if open_turn and continue_final:
        raise InvalidRequest(
            "'continue_final_message' and 'add_generation_prompt' exclude each other.", param="continue_final_message"
        )
    return TemplateOptions(
        add_generation_prompt=not continue_final if open_turn is None else open_turn,
        continue_final_message=continue_final,
        template_kwargs=fields.CHAT_TEMPLATE_KWARGS.of(body),
        reasoning_effort=fields.REASONING_EFFORT.of(body),
    )


def _told(answer_format: AnswerFormat | None) -> tuple[Message, ...]:
    told = None if answer_format is None else answer_format.told
    return () if told is None else (Message(role="system", content=told),)


def _format(body: JsonObject) -> AnswerFormat | None:
    wanted, constraint = fields.RESPONSE_FORMAT.of(body), structured_outputs(body)
    if wanted is not None and constraint is not None:
        raise InvalidRequest(
            "'response_format' and 'structured_outputs' exclude each other.", param="structured_outputs"
        )
    return wanted or constraint
