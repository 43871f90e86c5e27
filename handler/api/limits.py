"""What an operator allows of every request."""

from dataclasses import dataclass

from handler.api.unknown_keys import UnknownFields


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, answers in tokens. `max_output_tokens` 0: the window. `max_choices`: the largest `n`."""

    max_body_bytes: int = 6 * 1024 * 1024
    max_output_tokens: int = 0
    max_choices: int = 8
    unknown_fields: UnknownFields = "reject"
