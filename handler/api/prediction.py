"""`prediction`: what the caller expects most of the answer to be. Pure."""

from typing import Final

from handler.api.messages import text_content
from handler.api.values import Json, as_object, as_text, missing, required
from handler.errors import UnsupportedValue

PREDICTION_KEYS: Final = frozenset({"type", "content"})


class Prediction:
    """Reads the predicted text."""

    summary = 'object of the type "content", with content as a string or an array of text parts'

    def __call__(self, value: Json, path: str) -> str:
        item = as_object(value, path)
        if required(item, "type", as_text, path) != "content":
            raise UnsupportedValue(f"Unsupported value: '{path}.type' supports only 'content'.", param=f"{path}.type")
        text = text_content(item, path)
        if text is None:
            raise missing(f"{path}.content")
        return text
