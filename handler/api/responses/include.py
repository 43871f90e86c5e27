"""`include`: what the answer is to hold besides. Pure."""

from typing import Final

from handler.api.values import Json, as_array, as_text
from handler.errors import InvalidRequest, UnsupportedValue

LOGPROBS: Final = "message.output_text.logprobs"
# Real values of OpenAI's for things that there are none of here.
UNSUPPORTED: Final = frozenset(
    {
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "message.input_image.image_url",
        "computer_call_output.output.image_url",
        "code_interpreter_call.outputs",
        "reasoning.encrypted_content",
    }
)


class Include:
    """Reads `include`."""

    summary = f'array, only of "{LOGPROBS}"'

    def __call__(self, value: Json, path: str) -> frozenset[str]:
        return frozenset(_one(item, f"{path}[{i}]") for i, item in enumerate(as_array(value, path)))


def _one(value: Json, path: str) -> str:
    name = as_text(value, path)
    if name == LOGPROBS:
        return name
    message = f"'{path}' supports only \"{LOGPROBS}\" on this server."
    if name in UNSUPPORTED:
        raise UnsupportedValue(f"Unsupported value: {message}", param=path)
    raise InvalidRequest(f"Invalid value: {message}", param=path)
