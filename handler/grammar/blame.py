"""Which keyword of a schema the grammar engine cannot enforce: it says what is wrong, but not where.

Each part of the schema is tried by itself, inner ones first, and then each of its keywords: the one without which the
part is fine is to blame.
"""

from collections.abc import Mapping

from llguidance import LLMatcher

from handler.engine.json_schema import CheckedSchema

# What the engine says to its own callers, in words for ours.
_ADVICE = {
    "oneOf constraints": "its schemas cannot be told apart by type, constant or required property: use anyOf",
    "min/maxProperties only": "only enforced where all properties that are named are required",
}
_MAX_PARTS = 300  # a trial takes half a millisecond


def blame(checked: CheckedSchema, error: str) -> str:
    """The message for the caller: place, keyword, reason. `error`: what the engine says of the whole."""

    def fault(schema: Mapping[str, object]) -> str:
        return LLMatcher.validate_grammar(LLMatcher.grammar_from_json_schema(checked.complete(schema)))

    faulty = [(part, found) for part in checked.parts[:_MAX_PARTS] if (found := fault(part.schema))]
    # A part that nothing satisfies is no fault where it is optional; it is one if there is no other.
    faulty.sort(key=lambda found: found[1].startswith("Unsatisfiable"))
    if not faulty:
        return f"The JSON schema cannot be enforced: {reason(error)}."
    part, error = faulty[0]
    # What limits comes before what says what there is to be limited.
    for keyword in sorted(part.schema, key=lambda keyword: keyword in ("type", "properties")):
        if not fault({name: value for name, value in part.schema.items() if name != keyword}):
            return f"The JSON schema at {part.pointer}, {keyword}: {reason(error)}."
    return f"The JSON schema at {part.pointer}: {reason(error)}."


def reason(error: str) -> str:
    """What the engine says, in one line without an end of its own."""
    lines = error.strip().splitlines() or ["the grammar engine does not tell why"]
    # A regular expression's fault comes last, under a drawing of where it is.
    line = next((line.removeprefix("error: ") for line in reversed(lines) if line.startswith("error: ")), lines[0])
    for advice, ours in _ADVICE.items():
        line = ours if line.startswith(advice) else line
    return line[:300].rstrip(".: ")
