"""Hermes, Qwen and many that followed: `<tool_call>`, a JSON object with name and arguments, `</tool_call>`."""

from dataclasses import replace
from typing import Final

from handler.chat.dialects.call_format import CallFormat
from handler.chat.dialects.facts import Facts

HERMES: Final = CallFormat(
    begin=('<tool_call>\n{"name": "',),
    to_arguments='", "arguments": ',
    next='}\n</tool_call>\n<tool_call>\n{"name": "',
    end="}\n</tool_call>",
)
_ON_ONE_LINE: Final = replace(
    HERMES, begin=('<tool_call>{"name": "',), next='}</tool_call>\n<tool_call>{"name": "', end="}</tool_call>"
)
_NOT_JSON: Final = ("<function=", "<arg_key>")  # Qwen3-Coder and GLM use the same marker for XML


def detect(facts: Facts) -> CallFormat | None:
    if "<tool_call>" not in facts.source or any(mark in facts.source for mark in _NOT_JSON):
        return None
    if facts.revealed is not None and facts.revealed.begin[0].startswith("<tool_call>"):
        return facts.revealed
    return _ON_ONE_LINE if "<tool_call>{" in facts.source else HERMES
