"""Llama 3: the whole answer is a JSON object with name and parameters, sometimes after `<|python_tag|>`."""

from dataclasses import replace
from typing import Final

from handler.chat.dialects.call_format import CallFormat
from handler.chat.dialects.facts import Facts

PYTHON_TAG: Final = "<|python_tag|>"


def detect(facts: Facts) -> CallFormat | None:
    revealed = facts.revealed
    if revealed is None or not revealed.begin[0].startswith("{") or '"parameters"' not in revealed.to_arguments:
        return None
    if PYTHON_TAG not in facts.control_tokens:
        return revealed
    return replace(revealed, begin=(*revealed.begin, PYTHON_TAG + revealed.begin[0]))
