"""An embedding model's own files in a checkpoint directory: whether it is one, and how it makes one vector of a text.

sentence-transformers describes a model as a chain of modules (`modules.json`): a Transformer, a Pooling and perhaps
Normalize. A plain encoder without that file is pooled as sentence-transformers would: the mean of its tokens.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from model_export.checkpoint import SentencePooling
from model_export.errors import ExportError
from model_export.sources.files import read_json, read_optional_json, read_text

CHAIN = "modules.json"
POOLING = "1_Pooling/config.json"
_SETTINGS = "sentence_bert_config.json"
_PROMPTS = "config_sentence_transformers.json"

_FLAG = "pooling_mode_"
_POOLINGS: Mapping[str, Literal["mean", "cls", "last"]] = {
    "mean_tokens": "mean",
    "cls_token": "cls",
    "lasttoken": "last",
}
# What encoders are called in config.json, as they come from pretraining; the last is a decoder all the same.
_ENCODERS, _DECODER = ("Model", "ForMaskedLM", "ForPreTraining"), "LMHeadModel"
# These number positions from the padding token's id on: the table is longer than the window.
_OFFSET_POSITIONS = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet"})


def read_embedding_files(directory: Path, config: Mapping[str, Any]) -> SentencePooling | None:
    """How the checkpoint in `directory` embeds; None if it is no embedding model.

    Raises ExportError for a chain of modules that cannot be served as it is.
    """
    if (directory / CHAIN).exists():
        pooling, normalize = _read_chain(directory)
    elif _is_encoder(config):
        pooling, normalize = _POOLINGS["mean_tokens"], False
    else:
        return None
    if read_optional_json(directory / _PROMPTS).get("default_prompt_name"):
        raise ExportError(f"{directory / _PROMPTS} puts a prompt before each text: set its default_prompt_name to null")
    settings = read_optional_json(directory / _SETTINGS)
    positions = int(config["max_position_embeddings"])
    if config.get("model_type") in _OFFSET_POSITIONS:
        positions -= int(config.get("pad_token_id") or 0) + 1
    return SentencePooling(
        pooling=pooling,
        normalize=normalize,
        window=min(positions, int(settings.get("max_seq_length") or positions)),
        lower_case=bool(settings.get("do_lower_case")),
    )


def lower_cased(tokenizer_json: str) -> str:
    """The same tokenizer, for which upper case is lower case."""
    tokenizer = json.loads(tokenizer_json)
    steps = [{"type": "Lowercase"}, *([tokenizer["normalizer"]] if tokenizer.get("normalizer") else [])]
    return json.dumps({**tokenizer, "normalizer": {"type": "Sequence", "normalizers": steps}}, ensure_ascii=False)


def _read_chain(directory: Path) -> tuple[Literal["mean", "cls", "last"], bool]:
    chain = directory / CHAIN
    modules: list[dict[str, str]] = json.loads(read_text(chain))
    kinds = [module["type"].rpartition(".")[2] for module in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise ExportError(
            f"{chain} is a chain of {', '.join(kinds)}; supported are Transformer, Pooling and perhaps Normalize:"
            " choose another model"
        )
    if modules[0]["path"]:
        raise ExportError(f"{chain} keeps the Transformer in {modules[0]['path']}: move its files to {directory}")
    return _pooling(directory / modules[1]["path"] / "config.json"), len(kinds) == 3


def _pooling(path: Path) -> Literal["mean", "cls", "last"]:
    flags = [name.removeprefix(_FLAG) for name, on in read_json(path).items() if name.startswith(_FLAG) and on]
    if len(flags) != 1 or flags[0] not in _POOLINGS:
        raise ExportError(
            f"{path} pools by {' and '.join(flags) or 'nothing'}; supported is one of {', '.join(_POOLINGS)}:"
            " choose another model"
        )
    return _POOLINGS[flags[0]]


def _is_encoder(config: Mapping[str, Any]) -> bool:
    architecture = str((config.get("architectures") or [""])[0])
    return architecture.endswith(_ENCODERS) and not architecture.endswith(_DECODER)
