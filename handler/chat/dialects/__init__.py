"""Tool dialects, one module each: which of them does a model speak? Pure.

Each module has `detect(facts)`: the dialect if the model speaks it. The first that knows it wins.
"""

from typing import Final

from handler.chat.dialects import hermes, llama3, mistral, revealed
from handler.chat.dialects.call_format import CallFormat
from handler.chat.dialects.facts import Facts

_DIALECTS: Final = (hermes, llama3, mistral, revealed)


def detect(facts: Facts) -> CallFormat | None:
    """The model's dialect; None if its template shows none: then the generic one is used."""
    found = (dialect.detect(facts) for dialect in _DIALECTS)
    return next((form for form in found if form is not None), None)
