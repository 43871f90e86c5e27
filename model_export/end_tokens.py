"""Which tokens end an answer. Pure.

A chat model ends its turn with one token (`<|im_end|>`) and a document with another (`<|endoftext|>`); the files name
now this one, now that one, now both. A generation must end at each, else the model talks on as the user.
"""

import json
from collections.abc import Iterable, Sequence

from model_export.errors import ExportError

# Control tokens that end a turn, a message or a document in the open model families.
_END_MARKERS = frozenset(
    {
        "<|im_end|>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "<|eot_id|>",
        "<|eom_id|>",
        "<end_of_turn>",
        "<end_of_utterance>",
        "</s>",
    }
)


def end_token_ids(declared: Iterable[int | Sequence[int] | None], tokenizer_json: str) -> tuple[int, ...]:
    """The declared ids (in their order, each once) and then those of the known end markers among the tokenizer's
    control tokens. Raises ExportError where there is none."""
    ids: list[int] = []
    for value in declared:
        ids += [] if value is None else [value] if isinstance(value, int) else value
    for token in json.loads(tokenizer_json).get("added_tokens", ()):
        if token["special"] and token["content"] in _END_MARKERS:
            ids.append(token["id"])
    if not ids:
        raise ExportError("the checkpoint names no end token: set eos_token_id in its generation_config.json")
    return tuple(dict.fromkeys(ids))
