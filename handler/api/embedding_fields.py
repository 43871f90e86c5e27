"""The field table of embeddings: every request field, in the classes of `fields`. Pure; honour or reject."""

from handler.api import fields
from handler.api.completion_prompt import MAX_PROMPTS, Prompts
from handler.api.field import LARGEST, Field
from handler.api.values import Integer, Json, OneOf
from handler.chat.embedding import EmbeddingInput
from handler.errors import InvalidRequest
from handler.frozen import dataclass

Inputs = tuple[tuple[str, EmbeddingInput], ...]
"""Pairs of a path in the request (`input`, `input[3]`) and what stands there."""


@dataclass(frozen=True, slots=True)
class Texts:
    """One or more texts, or their tokens; none of them empty. An array of integers is one."""

    summary: str = f"string, array of strings, array of token ids, or array of such arrays (1 to {MAX_PROMPTS})"

    def __call__(self, value: Json, path: str) -> Inputs:
        given = Prompts()(value, path)
        is_one = isinstance(value, str) or (isinstance(value, list) and isinstance(value[0], int))
        inputs = tuple((path if is_one else f"{path}[{i}]", item) for i, item in enumerate(given))
        for place, item in inputs:
            if not item:
                raise InvalidRequest(
                    f"Invalid '{place}': the string must not be empty.", param=place, code="empty_string"
                )
        return inputs


INPUT: Field[Inputs] = Field(
    name="input",
    standing="effective",
    reader=Texts(),
    default=(),
    required=True,
    doc="What to embed. Token ids are this model's own; its start and end tokens are put around them where they lack.",
)
ENCODING_FORMAT: Field[str] = Field(
    name="encoding_format",
    standing="effective",
    reader=OneOf(("float", "base64")),
    default="float",
    doc="Numbers, or base64 of little-endian 32-bit floats, which OpenAI's packages ask for by themselves.",
)
DIMENSIONS: Field[int | None] = Field(
    name="dimensions",
    standing="effective",
    reader=Integer(1, LARGEST),
    default=None,
    doc="Keeps this many of the first dimensions and scales them to length 1; at most the model's own.",
)

EMBEDDING_FIELDS: tuple[Field[object], ...] = (
    fields.MODEL,
    INPUT,
    ENCODING_FORMAT,
    DIMENSIONS,
    next(row for row in fields.FIELDS if row.name == "user"),
)
