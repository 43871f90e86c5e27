"""Any checkpoint as a Hugging Face directory: what optimum and torch read, whatever the weights came from."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from model_export.checkpoint import Checkpoint, TensorStore
from model_export.progress import Progress
from model_export.sources.safetensors import INDEX, SINGLE

_SHARD_BYTES = 2_000_000_000
_FLOAT_BYTES = 4


def write_checkpoint_directory(
    checkpoint: Checkpoint, directory: Path, progress: Progress, *, shard_bytes: int = _SHARD_BYTES
) -> None:
    """Writes config, weights (float32, in shards of at most `shard_bytes`), tokenizer, template and generation config
    into `directory`, which must exist."""
    _write_weights(checkpoint.tensors, directory, progress, shard_bytes)
    _write_json(directory / "config.json", {**checkpoint.config, "torch_dtype": "float32"})
    (directory / "tokenizer.json").write_text(checkpoint.tokenizer_json, encoding="utf-8")
    _write_json(
        directory / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
            "model_max_length": checkpoint.config.get("max_position_embeddings"),
            **checkpoint.special_tokens,
        },
    )
    if checkpoint.chat_template is not None:
        (directory / "chat_template.jinja").write_text(checkpoint.chat_template, encoding="utf-8")
    _write_json(
        directory / "generation_config.json",
        {
            "bos_token_id": checkpoint.bos_token_id,
            "eos_token_id": list(checkpoint.end_token_ids),
            **checkpoint.generation_defaults.model_dump(exclude_none=True),
        },
    )


def _write_weights(tensors: TensorStore, directory: Path, progress: Progress, shard_bytes: int) -> None:
    shards = list(_shards(tensors, shard_bytes))
    files = [SINGLE] if len(shards) == 1 else [_shard_name(i + 1, len(shards)) for i in range(len(shards))]
    with progress.phase("write weights", total=sum(map(len, shards)), unit="tensor") as step:
        for file, names in zip(files, shards, strict=True):
            loaded = {}
            for name in names:
                loaded[name] = np.ascontiguousarray(tensors.load(name))
                step(1)
            save_file(loaded, directory / file, metadata={"format": "pt"})
    if len(shards) > 1:
        weight_map = {name: file for file, names in zip(files, shards, strict=True) for name in names}
        size = sum(_bytes(tensors, name) for name in weight_map)
        _write_json(directory / INDEX, {"metadata": {"total_size": size}, "weight_map": weight_map})


def _shards(tensors: TensorStore, shard_bytes: int) -> Iterator[list[str]]:
    """The names in their order, cut where the next tensor would overfill a shard."""
    shard: list[str] = []
    held = 0
    for name in tensors:
        size = _bytes(tensors, name)
        if shard and held + size > shard_bytes:
            yield shard
            shard, held = [], 0
        shard.append(name)
        held += size
    yield shard


def _bytes(tensors: TensorStore, name: str) -> int:
    return math.prod(tensors.shape(name)) * _FLOAT_BYTES


def _shard_name(number: int, count: int) -> str:
    return f"model-{number:05d}-of-{count:05d}.safetensors"


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
