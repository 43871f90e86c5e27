"""The field tables of /tokenize, in its two forms, and /detokenize. Pure; vLLM's fields in the classes of `fields`."""

from handler.api import fields
from handler.api.containers import Integers
from handler.api.field import LARGEST, Field, Origin
from handler.api.values import Boolean, Integer, Only, Text

_VLLM: Origin = "vllm"

MODEL: Field[str | None] = Field(
    name="model",
    origin=_VLLM,
    standing="effective",
    reader=Text(),
    default=None,
    doc="A served model or alias; the first one unless given.",
)
RETURN_TOKEN_STRS: Field[bool] = Field(
    name="return_token_strs",
    origin=_VLLM,
    standing="effective",
    reader=Boolean(),
    default=False,
    doc="Whether to name each token as the vocabulary does.",
)
PROMPT: Field[str] = Field(
    name="prompt",
    origin=_VLLM,
    standing="effective",
    reader=Text(),
    default="",
    required=True,
    doc="The text; markers of the model in it are meant as such.",
)
ADD_TO_TEXT: Field[bool] = Field(
    name="add_special_tokens",
    origin=_VLLM,
    standing="effective",
    reader=Boolean(),
    default=True,
    doc="Whether to begin with the start token that the model's tokenizer puts before a text, if it does.",
)
ADD_TO_CHAT: Field[bool] = Field(
    name="add_special_tokens",
    origin=_VLLM,
    standing="effective",
    reader=Boolean(),
    default=False,
    doc="Whether to begin with the tokenizer's start token, besides what the template writes.",
)
TOKENS: Field[tuple[int, ...]] = Field(
    name="tokens",
    origin=_VLLM,
    standing="effective",
    reader=Integers(Integer(0, LARGEST)),
    default=(),
    required=True,
    doc="Token ids.",
)


def _rejected(name: str, doc: str) -> Field[None]:
    return Field(name=name, origin=_VLLM, standing="rejected", reader=Only(), default=None, doc=doc)


TEXT_FIELDS: tuple[Field[object], ...] = (MODEL, PROMPT, ADD_TO_TEXT, RETURN_TOKEN_STRS)
CHAT_FIELDS: tuple[Field[object], ...] = (
    MODEL,
    fields.MESSAGES,
    fields.ADD_GENERATION_PROMPT,
    fields.CONTINUE_FINAL_MESSAGE,
    fields.CHAT_TEMPLATE_KWARGS,
    fields.TOOLS,
    ADD_TO_CHAT,
    RETURN_TOKEN_STRS,
    _rejected("chat_template", "A template is a program; the model's own is used."),
    _rejected("media_io_kwargs", "Text only."),
    _rejected("mm_processor_kwargs", "Text only."),
)
DETOKENIZE_FIELDS: tuple[Field[object], ...] = (MODEL, TOKENS)
