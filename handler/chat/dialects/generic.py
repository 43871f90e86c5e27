"""The dialect for models whose template knows no tools: told of them in words, they call as Hermes does.

The instruction stands in a system message. A call's result comes back as a user's message, between `<tool_response>`
and `</tool_response>`. An answer holds one call at most: a model that never learnt to call does not know when it has
called enough, and would go on to the limit.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from handler.chat.dialects.call_format import CallFormat
from handler.chat.dialects.hermes import HERMES

GENERIC: Final = replace(HERMES, next=None)


def instruction(tools: Sequence[Mapping[str, object]], form: CallFormat) -> str:
    """What the model is told of the functions, given as chat templates get them."""
    listed = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    call = f"{form.begin[0]}<name>{form.to_arguments}{{<arguments>}}{form.end}"
    return (
        "You can call functions to help answer the user. They are listed here as JSON, one on each line:\n"
        f"<tools>\n{listed}\n</tools>\n"
        "To call a function, write its name and its arguments as a JSON object like this:\n"
        f"{call}\n"
        "You are then given what the function returned."
    )


def result(content: str) -> str:
    """What a function returned, as a user's message says it."""
    return f"<tool_response>\n{content}\n</tool_response>"
