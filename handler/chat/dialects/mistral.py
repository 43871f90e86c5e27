"""Mistral: `[TOOL_CALLS]` and a JSON list of objects with name and arguments, with or without a space between."""

from dataclasses import replace
from typing import Final

from handler.chat.dialects.call_format import CallFormat
from handler.chat.dialects.facts import Facts

MARKER: Final = "[TOOL_CALLS]"
MISTRAL: Final = CallFormat(
    begin=(f'{MARKER} [{{"name": "', f'{MARKER}[{{"name": "'),
    to_arguments='", "arguments": ',
    next='}, {"name": "',
    end="}]",
)


def detect(facts: Facts) -> CallFormat | None:
    if MARKER not in facts.source:
        return None
    revealed = facts.revealed
    if revealed is None or not revealed.begin[0].startswith(MARKER):
        return None if "[ARGS]" in facts.source else MISTRAL
    if revealed.begin[0] not in MISTRAL.begin:
        return revealed  # newer ones: a marker for each call, and the name outside the JSON
    return replace(revealed, begin=tuple(dict.fromkeys(revealed.begin + MISTRAL.begin)))
