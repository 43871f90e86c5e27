"""A GGUF file's tokenizer → `tokenizer.json`, with the ids that the model was trained on. Pure.

llama.cpp names the pre-tokenizer (`tokenizer.ggml.pre`) and keeps its regex in code, so each name is a row here.
Nothing is guessed: an unknown name is refused, because a wrong split gives wrong ids that nobody notices.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model_export.errors import ExportError

_KEY = "tokenizer.ggml."
_CONTROL, _USER_DEFINED, _UNUSED = 3, 4, 5  # tokenizer.ggml.token_type

_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
_SPLIT_AS_GPT2 = {**_BYTE_LEVEL, "use_regex": True}
_SINGLE_DIGITS = {"type": "Digits", "individual_digits": True}


def _split(pattern: str) -> Sequence[Mapping[str, Any]]:
    return (
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
        {**_BYTE_LEVEL, "use_regex": False},
    )


def _contractions_words_numbers(digits: str) -> str:
    return (
        rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pre:
    """One row: what the original tokenizer.json of these models says. `adds_bos`: where the file does not tell."""

    steps: Sequence[Mapping[str, Any]]
    normalizer: Mapping[str, Any] | None = None
    ignore_merges: bool = False
    adds_bos: bool = False


PRE_TOKENIZERS: Mapping[str, _Pre] = {
    "gpt-2": _Pre(steps=(_SPLIT_AS_GPT2,)),
    "smollm": _Pre(steps=(_SINGLE_DIGITS, _SPLIT_AS_GPT2)),
    "starcoder": _Pre(steps=(_SINGLE_DIGITS, _SPLIT_AS_GPT2)),
    "llama-bpe": _Pre(steps=_split(_contractions_words_numbers(r"\p{N}{1,3}")), ignore_merges=True, adds_bos=True),
    "qwen2": _Pre(steps=_split(_contractions_words_numbers(r"\p{N}")), normalizer={"type": "NFC"}),
}


def tokenizer_json(metadata: Mapping[str, Any]) -> str:
    """The text of `tokenizer.json`. Raises ExportError for a tokenizer that cannot be converted exactly."""
    model, pre = metadata.get(_KEY + "model"), metadata.get(_KEY + "pre", "default")
    if model != "gpt2":
        raise ExportError(
            f"the GGUF file has a tokenizer of the kind {model!r}, only byte-level BPE ('gpt2') converts exactly:"
            " export from the original checkpoint instead"
        )
    row = PRE_TOKENIZERS.get(pre)
    if row is None:
        raise ExportError(
            f"the GGUF file names the pre-tokenizer {pre!r}, known are {', '.join(PRE_TOKENIZERS)}:"
            " export from the original checkpoint instead"
        )
    tokens: Sequence[str] = metadata[_KEY + "tokens"]
    types: Sequence[int] = metadata.get(_KEY + "token_type") or [1] * len(tokens)
    added = [
        {
            "id": token_id,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": kind == _CONTROL,
        }
        for token_id, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if kind in (_CONTROL, _USER_DEFINED)
    ]
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": row.normalizer,
        "pre_tokenizer": row.steps[0]
        if len(row.steps) == 1
        else {"type": "Sequence", "pretokenizers": list(row.steps)},
        "post_processor": _start_token(metadata, tokens, row),
        "decoder": _SPLIT_AS_GPT2,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": row.ignore_merges,
            "vocab": {
                token: token_id
                for token_id, (token, kind) in enumerate(zip(tokens, types, strict=True))
                if kind != _UNUSED
            },
            "merges": [merge.split(" ", 1) for merge in metadata[_KEY + "merges"]],
        },
    }
    return json.dumps(document, ensure_ascii=False)


def special_tokens(metadata: Mapping[str, Any]) -> dict[str, str]:
    """`bos_token`, `eos_token`, `unk_token`, `pad_token` → text, those that the file names."""
    tokens: Sequence[str] = metadata[_KEY + "tokens"]
    kinds = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    found = {f"{short}_token": metadata.get(f"{_KEY}{name}_token_id") for short, name in kinds.items()}
    return {name: tokens[token_id] for name, token_id in found.items() if token_id is not None}


def _start_token(metadata: Mapping[str, Any], tokens: Sequence[str], row: _Pre) -> Mapping[str, Any] | None:
    bos_id = metadata.get(_KEY + "bos_token_id")
    if bos_id is None or not metadata.get(_KEY + "add_bos_token", row.adds_bos):
        return None
    bos, text = tokens[bos_id], {"Sequence": {"id": "A", "type_id": 0}}
    start = {"SpecialToken": {"id": bos, "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [start, text],
        "pair": [start, text, start, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {bos: {"id": bos, "ids": [bos_id], "tokens": [bos]}},
    }
