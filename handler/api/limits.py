"""What an operator allows of every request."""

from typing import Protocol, TypeVar

from handler.api.unknown_keys import UnknownFields
from handler.errors import PromptTooLong
from handler.frozen import dataclass


class HasPrompt(Protocol):
    @property
    def prompt_tokens(self) -> int: ...


P = TypeVar("P", bound=HasPrompt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, prompts and answers in tokens. `max_prompt_tokens` and `max_output_tokens` 0: the window.
    `max_choices`: the largest `n`."""

    max_body_bytes: int = 6 * 1024 * 1024
    max_prompt_tokens: int = 0
    max_output_tokens: int = 0
    max_choices: int = 8
    unknown_fields: UnknownFields = "reject"

    def allowed(self, prepared: P, *, param: str) -> P:
        """The same, if its prompt, the request field `param`, is not too long. Raises PromptTooLong."""
        if self.max_prompt_tokens and prepared.prompt_tokens > self.max_prompt_tokens:
            raise PromptTooLong(prompt_tokens=prepared.prompt_tokens, most=self.max_prompt_tokens, param=param)
        return prepared
