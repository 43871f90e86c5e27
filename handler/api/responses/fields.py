"""The field table of the Responses API: every request field in one of three classes, as in `handler.api.fields`. Pure.

Nothing is stored here, so nothing stored can be named: no earlier response, no conversation, no prompt of the
dashboard. What the API calls tools are functions that the caller runs; OpenAI's own servers' tools are not here.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from handler.api import fields as chat
from handler.api.containers import TextMap
from handler.api.field import LARGEST, Field, Origin
from handler.api.formats import AnswerFormat
from handler.api.responses.include import Include
from handler.api.responses.items import Input
from handler.api.responses.text_format import TextFormat
from handler.api.responses.tools import Choice, Tools
from handler.api.values import AnyObject, Boolean, Integer, Json, JsonObject, OneOf, Only, Reader, Text
from handler.chat.conversation import Message
from handler.chat.tools import Tool, ToolChoice

T = TypeVar("T")

INPUT: Field[tuple[Message, ...]] = Field(
    name="input",
    standing="effective",
    reader=Input(),
    default=(),
    required=True,
    doc="Text, or items: messages, function_call, function_call_output and reasoning; text parts only.",
)
INSTRUCTIONS: Field[str | None] = Field(
    name="instructions",
    standing="effective",
    reader=Text(),
    default=None,
    doc="A system message before the input.",
)
MAX_OUTPUT_TOKENS: Field[int | None] = Field(
    name="max_output_tokens",
    standing="effective",
    reader=Integer(1, LARGEST),
    default=None,
    doc="An upper bound on the answer's tokens, reasoning included; fewer than OpenAI's least, 16, are honoured.",
)
INCLUDE: Field[frozenset[str]] = Field(
    name="include",
    standing="effective",
    reader=Include(),
    default=frozenset(),
    doc="Asks for the log-probabilities of the answer's tokens.",
)
TOP_LOGPROBS: Field[int | None] = Field(
    name="top_logprobs",
    standing="effective",
    reader=Integer(0, 20),
    default=None,
    doc="How many of the most likely tokens to list at each position; needs include.",
)
STREAM: Field[bool] = Field(
    name="stream", standing="effective", reader=Boolean(), default=False, doc="Answers as typed server-sent events."
)
STREAM_OPTIONS: Field[JsonObject | None] = Field(
    name="stream_options", standing="effective", reader=AnyObject(), default=None, doc="Only with stream: true."
)
TEXT: Field[JsonObject] = Field(
    name="text", standing="effective", reader=AnyObject(), default={}, doc="What the answer's text looks like."
)
REASONING: Field[JsonObject] = Field(
    name="reasoning", standing="effective", reader=AnyObject(), default={}, doc="How to reason."
)
METADATA: Field[Mapping[str, str]] = Field(
    name="metadata",
    standing="inert",
    reader=TextMap(16, 64, 512),
    default={},
    doc="Labels; the response repeats them, and nothing is stored.",
)
USER: Field[str | None] = Field(
    name="user", standing="inert", reader=Text(), default=None, doc="The caller's own label; repeated."
)
SAFETY_IDENTIFIER: Field[str | None] = Field(
    name="safety_identifier", standing="inert", reader=Text(64), default=None, doc="The caller's own label; repeated."
)
PROMPT_CACHE_KEY: Field[str | None] = Field(
    name="prompt_cache_key",
    standing="inert",
    reader=Text(),
    default=None,
    doc="A routing hint for OpenAI's cache; repeated.",
)


def _inert(name: str, reader: Reader[object], doc: str) -> Field[object]:
    return Field(name=name, standing="inert", reader=reader, default=None, doc=doc)


def _rejected(name: str, doc: str, *accepted: Json, parent: str = "") -> Field[object]:
    return Field(name=name, standing="rejected", reader=Only(accepted), default=None, doc=doc, parent=parent)


def _extension(row: Field[T]) -> Field[T]:
    """A field of chat completions that OpenAI's Responses API lacks."""
    vllm: Origin = "vllm"
    return replace(row, origin=vllm)


TOOLS: Field[tuple[Tool, ...]] = Field(
    name="tools",
    standing="effective",
    reader=Tools(),
    default=(),
    doc="Functions that the model may call; calls are enforced by grammar, in the model's own dialect.",
)
TOOL_CHOICE: Field[ToolChoice] = Field(
    name="tool_choice",
    standing="effective",
    reader=Choice(),
    default="auto",
    doc="Whether the model may, must or must not call, and what.",
)
PARALLEL_TOOL_CALLS: Field[bool] = Field(
    name="parallel_tool_calls",
    standing="effective",
    reader=Boolean(),
    default=True,
    doc="Whether an answer may hold more than one call.",
)
TEXT_FORMAT: Field[AnswerFormat | None] = Field(
    name="format",
    parent="text",
    standing="effective",
    reader=TextFormat(),
    default=None,
    doc="What the answer must look like; enforced token by token, strict or not.",
)
REASONING_EFFORT: Field[str | None] = Field(
    name="effort",
    parent="reasoning",
    standing="effective",
    reader=OneOf(("none", "minimal", "low", "medium", "high", "xhigh", "max")),
    default=None,
    doc="How much to think, where the model's template has a switch for it; elsewhere only the default.",
)

# The fields within the objects that have a row of their own.
NESTED_FIELDS: Mapping[str, tuple[Field[object], ...]] = {
    "stream_options": (replace(chat.INCLUDE_OBFUSCATION, doc="This server's events are never padded."),),
    "text": (
        TEXT_FORMAT,
        _rejected("verbosity", "The model has no verbosity switch.", "medium", parent="text"),
    ),
    "reasoning": (
        REASONING_EFFORT,
        _rejected("summary", "Reasoning is returned whole, not as a summary.", parent="reasoning"),
        _rejected("generate_summary", "The older name of summary.", parent="reasoning"),
        _rejected("context", "The model's template decides.", "auto", parent="reasoning"),
        _rejected("mode", "There is one mode.", "standard", parent="reasoning"),
    ),
}

FIELDS: tuple[Field[object], ...] = (
    chat.MODEL,
    INPUT,
    INSTRUCTIONS,
    MAX_OUTPUT_TOKENS,
    chat.TEMPERATURE,
    chat.TOP_P,
    INCLUDE,
    TOP_LOGPROBS,
    STREAM,
    STREAM_OPTIONS,
    TEXT,
    TOOLS,
    TOOL_CHOICE,
    PARALLEL_TOOL_CALLS,
    REASONING,
    *(
        _extension(row)
        for row in (
            chat.TOP_K,
            chat.MIN_P,
            replace(chat.SEED, doc="Same seed, same request, same model: same answer."),
            chat.PRESENCE_PENALTY,
            chat.FREQUENCY_PENALTY,
            chat.REPETITION_PENALTY,
            chat.LOGIT_BIAS,
            chat.STOP,
            chat.STOP_TOKEN_IDS,
            chat.IGNORE_EOS,
            chat.MIN_TOKENS,
            chat.CHAT_TEMPLATE_KWARGS,
        )
    ),
    METADATA,
    USER,
    SAFETY_IDENTIFIER,
    PROMPT_CACHE_KEY,
    _inert("prompt_cache_retention", OneOf(("in_memory", "in-memory", "24h")), "A hint for OpenAI's cache."),
    _inert(
        "store",
        Only((False,)),
        "Nothing is ever stored; absent is false. Sent as false, it keeps clients from referring to stored items.",
    ),
    _inert("service_tier", Only(("auto", "default")), "There is one tier, and it answers as default."),
    _rejected("truncation", "Input is never truncated.", "disabled"),
    _rejected("background", "Nothing is stored, so nothing can be fetched later.", False),
    _rejected("previous_response_id", "Nothing is stored: send the whole conversation as input."),
    _rejected("conversation", "Nothing is stored: send the whole conversation as input."),
    _rejected("prompt", "Nothing is stored: send instructions and input."),
    _rejected("max_tool_calls", "It bounds hosted tools, and there are none."),
    _rejected("context_management", "Input is never shortened."),
    _rejected("moderation", "No hosted moderation."),
    _rejected(
        "prompt_cache_options",
        "Prompt caching is automatic.",
        {},
        {"mode": "implicit"},
        {"ttl": "30m"},
        {"mode": "implicit", "ttl": "30m"},
    ),
    # These three are younger than the specification; OpenAI's client sends them.
    _rejected("access_programs", "No access programs."),
    _rejected("background_options", "Nothing runs in the background."),
    _rejected("image", "Text in, text out."),
)
