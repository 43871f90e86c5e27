"""JSON: an answer that a schema constrains, beside an unconstrained one of as many tokens to the same prompt."""

import sys
from itertools import cycle

from tests.bench.client import chat
from tests.bench.command import Options, Record, run
from tests.bench.names import FORMATS, SERVER
from tests.bench.requests import TO_THE_END
from tests.bench.servers import RECIPE, UNCACHED, serving


def _object(**properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_TEXT: dict[str, object] = {"type": "string", "maxLength": 40}
_NUMBER: dict[str, object] = {"type": "integer", "minimum": 0, "maximum": 200}

# What such a schema is for: forms to fill in, a call's arguments, a verdict, a record to extract.
REQUESTS = (
    (
        "Ada Lovelace, 36, lives in London and likes mathematics. Give the person as JSON.",
        _object(name=_TEXT, age=_NUMBER, city=_TEXT, interest=_TEXT),
    ),
    (
        "Is this review positive? 'The soup was cold, but the service was friendly.' Answer as JSON.",
        _object(
            sentiment={"type": "string", "enum": ["positive", "negative", "mixed"]},
            confidence={"type": "string", "enum": ["low", "medium", "high"]},
            recommended={"type": "boolean"},
            reason=_TEXT,
        ),
    ),
    (
        "Order two large coffees and a croissant for table seven. Give the order as JSON.",
        _object(
            table_number=_NUMBER,
            items={
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "items": _object(product=_TEXT, quantity=_NUMBER),
            },
            takeaway={"type": "boolean"},
        ),
    ),
    (
        "What is the weather like in Paris in celsius? Give the arguments for get_weather as JSON.",
        _object(location=_TEXT, unit={"type": "string", "enum": ["celsius", "fahrenheit"]}, days_ahead=_NUMBER),
    ),
)


def measure(options: Options, record: Record) -> None:
    """Tokens per second of whole requests, prompt included, in turns."""
    constrained, free = [], []
    with serving({SERVER: UNCACHED}) as (servers, failed):
        for reason in failed.values():
            record.missing(FORMATS[0], "JSON", "tokens/s", reason, recipe=RECIPE)
            return
        (server,) = servers
        rounds = options.rounds(5) * len(REQUESTS)
        for turn, (prompt, schema) in zip(range(rounds + 1), cycle(REQUESTS), strict=False):
            formatted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
            held = chat(server.port, prompt, response_format=formatted, temperature=0, max_tokens=200)
            loose = chat(server.port, prompt, max_tokens=held.tokens, **TO_THE_END)
            if turn:  # the first round warms up
                constrained.append(held.tokens_per_second)
                free.append(loose.tokens_per_second)
    for name, samples in zip(FORMATS, (constrained, free), strict=True):
        record.samples(name, "JSON", samples, "tokens/s", recipe=RECIPE)


if __name__ == "__main__":
    sys.exit(run("formats", measure))
