"""The tokenizer's files in a checkpoint directory: tokenizer.json, its configuration and the chat template.

transformers spread these over several files and shapes in the course of time; each is read as transformers reads it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_export.errors import ExportError
from model_export.sources.files import read_json, read_optional_json, read_text

_TOKENIZER = "tokenizer.json"
_ADDED_TOKEN_KEYS = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerFiles:
    """`token_ids` are the ids of the added tokens (control tokens among them) by their text."""

    tokenizer_json: str
    chat_template: str | None
    special_tokens: Mapping[str, str]
    token_ids: Mapping[str, int]


def read_tokenizer_files(directory: Path) -> TokenizerFiles:
    """Reads what the directory has. Raises ExportError where there is no fast tokenizer, or a file is damaged."""
    path = directory / _TOKENIZER
    if not path.exists():
        raise ExportError(
            f"{directory} has no {_TOKENIZER}: write one with transformers,"
            " AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)"
        )
    tokenizer, settings = read_json(path), read_optional_json(directory / "tokenizer_config.json")
    added: list[dict[str, Any]] = tokenizer.setdefault("added_tokens", [])
    known = {token["id"] for token in added}
    # What was added to a tokenizer after its training may be in its configuration alone.
    for token_id, token in sorted(settings.get("added_tokens_decoder", {}).items(), key=lambda item: int(item[0])):
        if int(token_id) not in known:
            added.append({"id": int(token_id), **{key: token[key] for key in _ADDED_TOKEN_KEYS}})
    special = _special_tokens(settings) or _special_tokens(read_optional_json(directory / "special_tokens_map.json"))
    vocabulary = tokenizer.get("model", {}).get("vocab", {})
    ids = {token["content"]: int(token["id"]) for token in added}
    if isinstance(vocabulary, dict):  # Unigram's is a list, and its control tokens are among the added ones
        ids = {text: vocabulary[text] for text in special.values() if text in vocabulary} | ids
    return TokenizerFiles(
        tokenizer_json=json.dumps(tokenizer, ensure_ascii=False),
        chat_template=_chat_template(directory, settings),
        special_tokens=special,
        token_ids=ids,
    )


def _special_tokens(settings: Mapping[str, Any]) -> dict[str, str]:
    """`bos_token` and the like, written as a string or as an AddedToken's fields."""
    tokens = {
        name: value.get("content") if isinstance(value, dict) else value
        for name, value in settings.items()
        if name.endswith("_token")
    }
    return {name: value for name, value in tokens.items() if isinstance(value, str)}


def _chat_template(directory: Path, settings: Mapping[str, Any]) -> str | None:
    """A file of its own wins over the configuration; of several named templates, the one called default."""
    path = directory / "chat_template.jinja"
    if path.exists():
        return read_text(path)
    value = read_optional_json(directory / "chat_template.json").get("chat_template", settings.get("chat_template"))
    if isinstance(value, list):
        named = {entry["name"]: entry["template"] for entry in value}
        if "default" not in named:
            raise ExportError(
                f"{directory} has the chat templates {', '.join(named)} and none called default:"
                " write the one to use to chat_template.jinja"
            )
        value = named["default"]
    return value if isinstance(value, str) else None
