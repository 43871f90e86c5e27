"""The field table of completions: every request field, in the classes of `fields`. Pure; honour or reject.

What a field says alike in a chat is the chat's own row.
"""

from handler.api import fields
from handler.api.completion_prompt import Prompts
from handler.api.field import LARGEST, Field
from handler.api.values import Boolean, Integer, Only
from handler.chat.completion import Prompt

_SHARED = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "logit_bias",
    "stop",
    "stop_token_ids",
    "ignore_eos",
    "min_tokens",
    "stream",
    "stream_options",
    "structured_outputs",
    "user",
)

PROMPT: Field[tuple[Prompt, ...]] = Field(
    name="prompt",
    standing="effective",
    reader=Prompts(),
    default=("",),
    doc="What to continue; markers of the model in it are meant as such. Empty: the beginning of a new document.",
)
MAX_TOKENS: Field[int] = Field(
    name="max_tokens",
    standing="effective",
    reader=Integer(0, LARGEST),
    default=16,
    doc="An upper bound on each completion's tokens, 16 unless given; 0 only runs the prompt.",
)
ECHO: Field[bool] = Field(
    name="echo",
    standing="effective",
    reader=Boolean(),
    default=False,
    doc="Gives the prompt back before its completion; with logprobs, its tokens' log-probabilities too.",
)
LOGPROBS: Field[int | None] = Field(
    name="logprobs",
    standing="effective",
    reader=Integer(0, 5),
    default=None,
    doc="Returns each token's log-probability and this many of the most likely alternatives.",
)
ADD_SPECIAL_TOKENS: Field[bool] = Field(
    name="add_special_tokens",
    origin="vllm",
    standing="effective",
    reader=Boolean(),
    default=True,
    doc="Whether a prompt of text begins with the start token that the model's tokenizer puts there, if it does.",
)
BEST_OF: Field[int | None] = Field(
    name="best_of",
    standing="rejected",
    reader=Integer(0, 20),
    default=None,
    doc="Taken only where it chooses nothing: 1, or the value of n.",
)
_SUFFIX: Field[None] = Field(
    name="suffix", standing="rejected", reader=Only(), default=None, doc="Text is not inserted, only continued."
)

_CHAT_ROWS = {row.name: row for row in fields.FIELDS}

COMPLETION_FIELDS: tuple[Field[object], ...] = (
    fields.MODEL,
    PROMPT,
    MAX_TOKENS,
    ECHO,
    LOGPROBS,
    *(_CHAT_ROWS[name] for name in _SHARED),
    ADD_SPECIAL_TOKENS,
    BEST_OF,
    _SUFFIX,
)
