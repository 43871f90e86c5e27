"""The prompts of a completion request: text, texts, token ids, or arrays of token ids. Pure."""

from handler.api.containers import Integers
from handler.api.values import Integer, Json, as_text, wrong_type
from handler.chat.completion import Prompt
from handler.errors import InvalidRequest
from handler.frozen import dataclass

MAX_PROMPTS = 2048  # as many as OpenAI takes in one array
_TOKEN_IDS = Integers(Integer(0, 2**31 - 1))


@dataclass(frozen=True, slots=True)
class Prompts:
    """One or more prompts; an array of integers is one."""

    summary: str = f"string, array of strings, array of token ids, or array of such arrays (at most {MAX_PROMPTS})"

    def __call__(self, value: Json, path: str) -> tuple[Prompt, ...]:
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list):
            raise wrong_type(path, "a string or an array", value)
        if not value:
            raise _empty(path)
        if isinstance(value[0], int):
            return (_TOKEN_IDS(value, path),)
        if len(value) > MAX_PROMPTS:
            raise InvalidRequest(
                f"Invalid '{path}': array too long. Expected an array with maximum length {MAX_PROMPTS}, but got an"
                f" array with length {len(value)} instead.",
                param=path,
                code="array_above_max_length",
            )
        return tuple(_one(item, isinstance(value[0], str), f"{path}[{i}]") for i, item in enumerate(value))


def _one(value: Json, is_text: bool, path: str) -> Prompt:
    if is_text:
        return as_text(value, path)
    if not isinstance(value, list):
        raise wrong_type(path, "an array of token ids", value)
    if not value:
        raise _empty(path)
    return _TOKEN_IDS(value, path)


def _empty(path: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid '{path}': the array must not be empty.", param=path, code="empty_array")
