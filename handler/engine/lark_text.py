"""The JSON schemas and regular expressions in a caller's Lark text, held to the same rules as any other. Pure."""

import json
import re
from collections.abc import Iterator

from handler.engine.json_schema import check_schema
from handler.engine.regex_size import MAX_EXPANDED, expanded_size
from handler.errors import InvalidRequest, UnsupportedValue

# What llguidance's Lark reads as one piece: a string, a regular expression, a comment; or where a schema begins. The
# closing mark is optional, so that text full of marks that nothing closes costs one pass, not one for each.
_PIECE = re.compile(r'"(?:\\.|[^"\\\n])*"?|/(?!/)(?:\\.|[^/\\\n])*/?|(?://|#)[^\n]*|%json\s*')


def with_checked_schemas(text: str, *, param: str) -> str:
    """The text, with every `%json` schema as the grammar engine wants it.

    Raises InvalidRequest or UnsupportedValue, naming `param`, for a schema or an expression that cannot be enforced.
    """
    return "".join(_pieces(text, param))


def _pieces(text: str, param: str) -> Iterator[str]:
    done = 0
    while piece := _PIECE.search(text, done):
        yield text[done : piece.end()]
        done = piece.end()
        if piece[0].startswith("/") and not piece[0].startswith("//") and expanded_size(piece[0]) > MAX_EXPANDED:
            raise UnsupportedValue(
                f"A regular expression in the grammar has more than {MAX_EXPANDED} characters with its repetitions"
                " written out: repeat less often, or without a bound (*, +).",
                param=param,
            )
        if piece[0].startswith("%json"):
            schema, done = _schema(text, done, param)
            yield json.dumps(check_schema(schema, param=param).complete())
    yield text[done:]


def _schema(text: str, start: int, param: str) -> tuple[dict[str, object] | bool, int]:
    """The JSON value that starts there, and where it ends."""
    try:
        schema, end = json.JSONDecoder(object_pairs_hook=_unique).raw_decode(text, start)
    except (ValueError, RecursionError):
        raise InvalidRequest("After %json, the grammar has no JSON schema.", param=param) from None
    if not isinstance(schema, dict | bool):
        raise InvalidRequest("After %json, the grammar has no JSON schema.", param=param)
    return schema, end


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    schema = dict(pairs)
    if len(schema) != len(pairs):
        raise ValueError
    return schema
