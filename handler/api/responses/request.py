"""A request of the Responses API: a JSON object in, typed values out. Pure; everything that can be said without the
model.

Single fields are judged by their rows in `fields`; here are the rules between fields.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from handler.api import fields as chat
from handler.api.formats import AnswerFormat
from handler.api.generation import generation_params
from handler.api.responses import fields
from handler.api.responses.include import LOGPROBS
from handler.api.responses.keys import find_unknown
from handler.api.responses.tools import repeated_tool
from handler.api.unknown_keys import UnknownFields, items_of, settle_unknown
from handler.api.values import Json, JsonObject, as_object
from handler.chat.conversation import Conversation, Message, TemplateOptions
from handler.chat.tools import ChatTools
from handler.engine.params import GenerationParams
from handler.errors import InvalidRequest, RequestError
from handler.frozen import dataclass

# What the fields of chat completions are called here, and what lies within them.
_OWN_NAMES: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile("^messages"), "input"),
    (re.compile("^max_tokens$"), "max_output_tokens"),
    (re.compile(r"^(tools\[\d+\])\.function"), r"\1"),
    (re.compile("^reasoning_effort"), "reasoning.effort"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesRequest:
    """What was asked, and how the answer is to be sent. `repeated` are the fields that the Response repeats, with
    defaults where the request was silent; `dropped` lists unknown keys that a setting let pass."""

    model: str
    conversation: Conversation
    params: GenerationParams
    template: TemplateOptions
    tools: ChatTools | None
    answer_format: AnswerFormat | None
    stream: bool
    repeated: JsonObject
    dropped: tuple[str, ...] = ()


def read_responses_request(
    body: JsonObject, *, unknown_fields: UnknownFields = "reject", max_output_tokens: int = 0
) -> ResponsesRequest:
    """The typed request. Drops unknown keys from `body` where the setting says so. Raises InvalidRequest.

    `max_output_tokens` caps every answer's length, in tokens; 0 is no cap.
    """
    dropped = settle_unknown(find_unknown(body), unknown_fields)
    for row in fields.FIELDS:
        if row.standing != "effective":
            row.of(body)
    _check_nested(body)
    stream, answer_format = fields.STREAM.of(body), fields.TEXT_FORMAT.of(fields.TEXT.of(body))
    if fields.STREAM_OPTIONS.of(body) is not None and not stream:
        raise InvalidRequest("'stream_options' is only allowed when 'stream' is true.", param="stream_options")
    return ResponsesRequest(
        model=chat.MODEL.of(body),
        conversation=_conversation(body, None if answer_format is None else answer_format.told),
        params=generation_params(
            body,
            max_tokens=fields.MAX_OUTPUT_TOKENS.of(body),
            top_logprobs=_top_logprobs(body),
            max_output_tokens=max_output_tokens,
        ),
        template=TemplateOptions(
            template_kwargs=chat.CHAT_TEMPLATE_KWARGS.of(body),
            reasoning_effort=fields.REASONING_EFFORT.of(fields.REASONING.of(body)),
        ),
        tools=_tools(body),
        answer_format=answer_format,
        stream=stream,
        repeated=_repeated(body),
        dropped=dropped,
    )


@contextmanager
def naming_own_fields() -> Iterator[None]:
    """The chat service knows the fields of chat completions: what it refuses bears this API's names instead. (A format
    knows its own name.)"""
    try:
        yield
    except RequestError as error:
        if error.param is not None:
            param = error.param
            for pattern, own in _OWN_NAMES:
                error.param = pattern.sub(own, error.param)
            error.message = error.message.replace(f"'{param}'", f"'{error.param}'")
        raise


def _check_nested(body: JsonObject) -> None:
    for holder in (fields.STREAM_OPTIONS, fields.TEXT, fields.REASONING):
        for row in fields.NESTED_FIELDS[holder.name]:
            row.of(holder.of(body) or {})


def _conversation(body: JsonObject, told: str | None) -> Conversation:
    turns = fields.INPUT.of(body)
    if not turns:
        raise InvalidRequest("Invalid 'input': it holds no message.", param="input")
    first = (Message(role="system", content=text) for text in (told, fields.INSTRUCTIONS.of(body)) if text is not None)
    return Conversation(messages=(*first, *turns))


def _tools(body: JsonObject) -> ChatTools | None:
    tools, choice = fields.TOOLS.of(body), fields.TOOL_CHOICE.of(body)
    if not tools and choice in ("auto", "none"):
        return None
    return ChatTools(tools=tools, choice=choice, parallel=fields.PARALLEL_TOOL_CALLS.of(body))


def _top_logprobs(body: JsonObject) -> int | None:
    wanted, count = LOGPROBS in fields.INCLUDE.of(body), fields.TOP_LOGPROBS.of(body) or 0
    if count and not wanted:
        raise InvalidRequest(f"'top_logprobs' needs \"{LOGPROBS}\" in 'include'.", param="top_logprobs")
    return count if wanted else None


def _format(body: JsonObject) -> JsonObject:
    asked = fields.TEXT.of(body).get("format")
    return (
        {"type": "text"}
        if asked is None
        else {k: v for k, v in as_object(asked, "text.format").items() if v is not None}
    )


def _repeated(body: JsonObject) -> JsonObject:
    labels: JsonObject = {
        row.name: row.of(body)
        for row in (fields.USER, fields.SAFETY_IDENTIFIER, fields.PROMPT_CACHE_KEY)
        if row.of(body) is not None  # the specification has no null for `user`
    }
    metadata: dict[str, Json] = dict(fields.METADATA.of(body))
    return {
        "model": chat.MODEL.of(body),
        "instructions": fields.INSTRUCTIONS.of(body),
        "max_output_tokens": fields.MAX_OUTPUT_TOKENS.of(body),
        "temperature": chat.TEMPERATURE.of(body),
        "top_p": chat.TOP_P.of(body),
        "top_logprobs": fields.TOP_LOGPROBS.of(body) or 0,
        "text": {"format": _format(body), "verbosity": "medium"},
        "reasoning": {"effort": fields.REASONING_EFFORT.of(fields.REASONING.of(body)), "summary": None},
        "tools": [repeated_tool(as_object(tool, "tools")) for tool in items_of(body.get("tools"))],
        "tool_choice": body.get("tool_choice") or "auto",
        "parallel_tool_calls": fields.PARALLEL_TOOL_CALLS.of(body),
        "metadata": metadata,
        **labels,
    }
