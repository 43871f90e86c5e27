"""An embedding request: a JSON object in, typed values out. Pure; everything that can be said without the model."""

from handler.api import fields
from handler.api.embedding_fields import DIMENSIONS, EMBEDDING_FIELDS, ENCODING_FORMAT, INPUT, Inputs
from handler.api.unknown_keys import UnknownFields, foreign_keys, settle_unknown
from handler.api.values import JsonObject
from handler.frozen import dataclass

_NAMES = frozenset(row.name for row in EMBEDDING_FIELDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRequest:
    """What was asked. `dimensions` None: all; `dropped` lists unknown keys that a setting let pass."""

    model: str
    inputs: Inputs
    as_base64: bool = False
    dimensions: int | None = None
    dropped: tuple[str, ...] = ()


def read_embedding_request(body: JsonObject, *, unknown_fields: UnknownFields = "reject") -> EmbeddingRequest:
    """The typed request. Drops unknown keys from `body` where the setting says so. Raises InvalidRequest."""
    dropped = settle_unknown(foreign_keys(body, _NAMES, ""), unknown_fields)
    for row in EMBEDDING_FIELDS:
        if row.standing != "effective":
            row.of(body)
    return EmbeddingRequest(
        model=fields.MODEL.of(body),
        inputs=INPUT.of(body),
        as_base64=ENCODING_FORMAT.of(body) == "base64",
        dimensions=DIMENSIONS.of(body),
        dropped=dropped,
    )
