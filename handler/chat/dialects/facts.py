"""What is known of a model when its dialect is looked for. Pure data."""

from collections.abc import Container
from dataclasses import dataclass

from handler.chat.dialects.call_format import CallFormat


@dataclass(frozen=True, kw_only=True)
class Facts:
    """`source` is the chat template's; `revealed` is the dialect that rendering calls with it shows, if it does."""

    source: str
    revealed: CallFormat | None
    control_tokens: Container[str]
