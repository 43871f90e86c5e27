"""The field table of chat completions. Pure; honour or reject.

Validation, the README's matrix and the tests are made from this table: a field is here or it is unknown.
"""

from collections.abc import Mapping

from handler.api.containers import Integers, Stops, TextMap, TokenBias
from handler.api.field import LARGEST, Field, Origin
from handler.api.formats import AnswerFormat, AnyJsonObject, Choices, Lark, Regex, ResponseFormat, Schema
from handler.api.messages import Messages
from handler.api.prediction import Prediction
from handler.api.tools import FunctionCallReader, Functions, ToolChoiceReader, Tools
from handler.api.values import (
    AnyObject,
    Boolean,
    Integer,
    Json,
    JsonObject,
    Number,
    OneOf,
    Only,
    Reader,
    Text,
)
from handler.chat.conversation import Message
from handler.chat.tools import Tool, ToolChoice
from handler.engine.grammar import GrammarSpec


def _constraint(name: str, reader: Reader[GrammarSpec | None], doc: str) -> Field[GrammarSpec | None]:
    return Field(
        name=name,
        parent="structured_outputs",
        origin="vllm",
        standing="effective",
        reader=reader,
        default=None,
        doc=doc,
    )


def _refused_option(name: str, doc: str, *accepted: Json) -> Field[GrammarSpec | None]:
    return Field(
        name=name,
        parent="structured_outputs",
        origin="vllm",
        standing="rejected",
        reader=Only(accepted),
        default=None,
        doc=doc,
    )


MODEL: Field[str] = Field(
    name="model", standing="effective", reader=Text(), default="", required=True, doc="A served model or alias."
)
MESSAGES: Field[tuple[Message, ...]] = Field(
    name="messages",
    standing="effective",
    reader=Messages(),
    default=(),
    required=True,
    doc="The conversation: roles system, developer, user, assistant and tool, with text content.",
)
MAX_COMPLETION_TOKENS: Field[int | None] = Field(
    name="max_completion_tokens",
    standing="effective",
    reader=Integer(1, LARGEST),
    default=None,
    doc="An upper bound on the answer's tokens; absent, the answer may fill the window.",
)
MAX_TOKENS: Field[int | None] = Field(
    name="max_tokens",
    standing="effective",
    reader=Integer(1, LARGEST),
    default=None,
    doc="The older name of max_completion_tokens; where both are given they must agree.",
)
TEMPERATURE: Field[float] = Field(
    name="temperature",
    standing="effective",
    reader=Number(0, 2),
    default=1.0,
    doc="Divides the logits before sampling; 0 is greedy. Absent: what the model's authors recommend, else 1.",
)
TOP_P: Field[float] = Field(
    name="top_p",
    standing="effective",
    reader=Number(0, 1),
    default=1.0,
    doc="Samples from the smallest set of tokens whose probabilities reach this sum; 1 is off. Absent: as temperature.",
)
TOP_K: Field[int] = Field(
    name="top_k",
    origin="vllm",
    standing="effective",
    reader=Integer(-1, LARGEST),
    default=0,
    doc="Samples from this many most likely tokens; 0 and −1 are off.",
)
MIN_P: Field[float] = Field(
    name="min_p",
    origin="vllm",
    standing="effective",
    reader=Number(0, 1),
    default=0.0,
    doc="Drops tokens less likely than this share of the most likely one; 0 is off.",
)
SEED: Field[int | None] = Field(
    name="seed",
    standing="effective",
    reader=Integer(-(2**63), 2**63 - 1),
    default=None,
    doc="Same seed, same request, same system_fingerprint: same answer.",
)
PRESENCE_PENALTY: Field[float] = Field(
    name="presence_penalty",
    standing="effective",
    reader=Number(-2, 2),
    default=0.0,
    doc="Subtracted once from the logit of every token already generated.",
)
FREQUENCY_PENALTY: Field[float] = Field(
    name="frequency_penalty",
    standing="effective",
    reader=Number(-2, 2),
    default=0.0,
    doc="Subtracted from a token's logit for each time it was generated.",
)
REPETITION_PENALTY: Field[float] = Field(
    name="repetition_penalty",
    origin="vllm",
    standing="effective",
    reader=Number(0.01, 10),
    default=1.0,
    doc="Divides positive and multiplies negative logits of tokens in prompt and answer; 1 is off.",
)
LOGIT_BIAS: Field[Mapping[int, float]] = Field(
    name="logit_bias",
    standing="effective",
    reader=TokenBias(Number(-100, 100)),
    default={},
    doc="Added to the logits of the named token ids.",
)
STOP: Field[tuple[str, ...]] = Field(
    name="stop",
    standing="effective",
    reader=Stops(),
    default=(),
    doc="Ends the answer before any of these strings, wherever its text has them, never inside a call; more than four "
    "are accepted, empty ones mean none.",
)
STOP_TOKEN_IDS: Field[tuple[int, ...]] = Field(
    name="stop_token_ids",
    origin="vllm",
    standing="effective",
    reader=Integers(Integer(0, LARGEST)),
    default=(),
    doc="Ends the answer at any of these token ids; refused beside functions that may be called or a format.",
)
IGNORE_EOS: Field[bool] = Field(
    name="ignore_eos",
    origin="vllm",
    standing="effective",
    reader=Boolean(),
    default=False,
    doc="End tokens are never chosen: the answer goes on to its bound; refused beside a format, which has to end.",
)
MIN_TOKENS: Field[int] = Field(
    name="min_tokens",
    origin="vllm",
    standing="effective",
    reader=Integer(0, LARGEST),
    default=0,
    doc="No end token and no stop string ends the answer before this many tokens; "
    "an answer that its format or call completes ends all the same.",
)
LOGPROBS: Field[bool] = Field(
    name="logprobs",
    standing="effective",
    reader=Boolean(),
    default=False,
    doc="Returns each token's log-probability under the model's own distribution.",
)
TOP_LOGPROBS: Field[int | None] = Field(
    name="top_logprobs",
    standing="effective",
    reader=Integer(0, 20),
    default=None,
    doc="How many of the most likely tokens to list at each position; needs logprobs: true.",
)
N: Field[int] = Field(
    name="n",
    standing="effective",
    reader=Integer(1, 128),
    default=1,
    doc="How many answers to give, over one run of the prompt; at most `LLM_MAX_CHOICES`.",
)
STREAM: Field[bool] = Field(
    name="stream", standing="effective", reader=Boolean(), default=False, doc="Answers as server-sent events."
)
STREAM_OPTIONS: Field[JsonObject | None] = Field(
    name="stream_options", standing="effective", reader=AnyObject(), default=None, doc="Only with stream: true."
)
INCLUDE_USAGE: Field[bool] = Field(
    name="include_usage",
    parent="stream_options",
    standing="effective",
    reader=Boolean(),
    default=False,
    doc="Sends a last chunk with the usage and no choices.",
)
INCLUDE_OBFUSCATION: Field[None] = Field(
    name="include_obfuscation",
    parent="stream_options",
    standing="inert",
    reader=Only((False,)),
    default=None,
    doc="This server's chunks are never padded.",
)
CHAT_TEMPLATE_KWARGS: Field[Mapping[str, Json]] = Field(
    name="chat_template_kwargs",
    origin="vllm",
    standing="effective",
    reader=AnyObject(),
    default={},
    doc="Variables for the model's chat template.",
)
ADD_GENERATION_PROMPT: Field[bool | None] = Field(
    name="add_generation_prompt",
    origin="vllm",
    standing="effective",
    reader=Boolean(),
    default=None,
    doc="Whether the prompt ends by opening the assistant's turn; true unless continue_final_message.",
)
CONTINUE_FINAL_MESSAGE: Field[bool] = Field(
    name="continue_final_message",
    origin="vllm",
    standing="effective",
    reader=Boolean(),
    default=False,
    doc="The answer continues the last message instead of starting a new turn.",
)


TOOLS: Field[tuple[Tool, ...]] = Field(
    name="tools",
    standing="effective",
    reader=Tools(),
    default=(),
    doc="Functions that the model may call. With strict, or when a call is forced, arguments are valid for the schema.",
)
TOOL_CHOICE: Field[ToolChoice | None] = Field(
    name="tool_choice",
    standing="effective",
    reader=ToolChoiceReader(),
    default=None,
    doc="Whether the model may, must or must not call, and which functions; only with tools.",
)
PARALLEL_TOOL_CALLS: Field[bool] = Field(
    name="parallel_tool_calls",
    standing="effective",
    reader=Boolean(),
    default=True,
    doc="Whether an answer may hold more than one call; only with tools.",
)
FUNCTIONS: Field[tuple[Tool, ...]] = Field(
    name="functions",
    standing="effective",
    reader=Functions(),
    default=(),
    doc="The older form of tools: the answer has one function_call at most.",
)
FUNCTION_CALL: Field[ToolChoice | None] = Field(
    name="function_call",
    standing="effective",
    reader=FunctionCallReader(),
    default=None,
    doc="The older form of tool_choice; only with functions.",
)
RESPONSE_FORMAT: Field[AnswerFormat | None] = Field(
    name="response_format",
    standing="effective",
    reader=ResponseFormat(),
    default=None,
    doc="JSON, or JSON that is valid for the schema, enforced with or without strict; the model is told a description.",
)
STRUCTURED_OUTPUTS: Field[JsonObject | None] = Field(
    name="structured_outputs",
    origin="vllm",
    standing="effective",
    reader=AnyObject(),
    default=None,
    doc="Limits the answer by exactly one of the following; not with a response_format.",
)
STRUCTURED_OUTPUT_FIELDS: tuple[Field[GrammarSpec | None], ...] = (
    _constraint("json", Schema(), "JSON that is valid for the schema."),
    _constraint("json_object", AnyJsonObject(), "Any JSON object."),
    _constraint("regex", Regex(), "Text that matches from beginning to end."),
    _constraint("choice", Choices(), "One of these texts."),
    _constraint("grammar", Lark(), "Text that the rule `start` derives."),
    _refused_option("disable_any_whitespace", "The grammar decides about whitespace.", False),
    _refused_option("disable_additional_properties", "The schema decides about properties.", False),
    _refused_option("whitespace_pattern", "The grammar decides about whitespace."),
    _refused_option("structural_tag", "Use a grammar."),
)
PREDICTION: Field[str | None] = Field(
    name="prediction",
    standing="effective",
    reader=Prediction(),
    default=None,
    doc="Text that the answer will mostly repeat: it comes faster where it does, and is the same. Only with n = 1.",
)
REASONING_EFFORT: Field[str | None] = Field(
    name="reasoning_effort",
    standing="effective",
    reader=OneOf(("none", "minimal", "low", "medium", "high", "xhigh", "max")),
    default=None,
    doc="Sets the switch of the model's chat template; a model without one takes only what it does anyway.",
)


def _inert(name: str, reader: Reader[object], doc: str) -> Field[object]:
    return Field(name=name, standing="inert", reader=reader, default=None, doc=doc)


def _rejected(name: str, doc: str, *accepted: Json, origin: Origin = "openai") -> Field[object]:
    return Field(name=name, standing="rejected", reader=Only(accepted), default=None, doc=doc, origin=origin)


STREAM_OPTION_FIELDS: tuple[Field[object], ...] = (INCLUDE_USAGE, INCLUDE_OBFUSCATION)

FIELDS: tuple[Field[object], ...] = (
    MODEL,
    MESSAGES,
    MAX_COMPLETION_TOKENS,
    MAX_TOKENS,
    TEMPERATURE,
    TOP_P,
    TOP_K,
    MIN_P,
    SEED,
    PRESENCE_PENALTY,
    FREQUENCY_PENALTY,
    REPETITION_PENALTY,
    LOGIT_BIAS,
    STOP,
    STOP_TOKEN_IDS,
    IGNORE_EOS,
    MIN_TOKENS,
    LOGPROBS,
    TOP_LOGPROBS,
    N,
    STREAM,
    STREAM_OPTIONS,
    CHAT_TEMPLATE_KWARGS,
    ADD_GENERATION_PROMPT,
    CONTINUE_FINAL_MESSAGE,
    TOOLS,
    TOOL_CHOICE,
    PARALLEL_TOOL_CALLS,
    FUNCTIONS,
    FUNCTION_CALL,
    RESPONSE_FORMAT,
    STRUCTURED_OUTPUTS,
    PREDICTION,
    REASONING_EFFORT,
    _inert("user", Text(), "The caller's own label."),
    _inert("safety_identifier", Text(64), "The caller's own label."),
    _inert("metadata", TextMap(16, 64, 512), "Labels for stored completions; nothing is stored here."),
    _inert("prompt_cache_key", Text(), "A routing hint for OpenAI's cache."),
    # The SDKs before 2026 wrote the first value with a hyphen.
    _inert("prompt_cache_retention", OneOf(("in_memory", "in-memory", "24h")), "A hint for OpenAI's cache."),
    _inert("store", Only((False,)), "Nothing is ever stored."),
    _inert("service_tier", Only(("auto", "default")), "There is one tier, and it answers as default."),
    _rejected("verbosity", "The model has no verbosity switch.", "medium"),
    _rejected("modalities", "Text in, text out.", ["text"]),
    _rejected("audio", "Text in, text out."),
    _rejected("web_search_options", "No hosted tools."),
    _rejected("moderation", "No hosted moderation."),
    _rejected(
        "prompt_cache_options",
        "Prompt caching is automatic.",
        {},
        {"mode": "implicit"},
        {"ttl": "30m"},
        {"mode": "implicit", "ttl": "30m"},
    ),
)
