"""A GGUF file as a checkpoint: Hugging Face's names, layout and config, rebuilt."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handler.manifest import Source
from model_export.checkpoint import Checkpoint
from model_export.end_tokens import end_token_ids
from model_export.errors import ExportError
from model_export.progress import Progress
from model_export.sources.files import damage_reported
from model_export.sources.gguf_architectures import (
    ARCHITECTURES,
    ROPE_FACTORS,
    GgufArchitecture,
    hugging_face_config,
    undo_interleaved_rope,
)
from model_export.sources.gguf_container import GgufContainer
from model_export.sources.gguf_tokenizer import special_tokens, tokenizer_json

SUFFIX = ".gguf"
_QUANTIZATION = re.compile(r"[.-](I?Q\d\w*|B?F16|F32|MXFP4)$", re.IGNORECASE)


class GgufFile:
    """SOURCE is a path that ends in `.gguf`."""

    form = "a .gguf file"

    def accepts(self, source: str) -> bool:
        return source.lower().endswith(SUFFIX)

    def load(self, source: str, progress: Progress) -> Checkpoint:
        path = Path(source)
        with progress.phase("read"):
            container = GgufContainer(path)
        return gguf_checkpoint(
            container,
            name=_QUANTIZATION.sub("", path.stem),
            source=Source(kind="gguf", id=path.name, revision=_sha256(path)),
        )


def gguf_checkpoint(container: GgufContainer, *, name: str, source: Source, license_: str | None = None) -> Checkpoint:
    """The checkpoint that a GGUF file holds. Raises ExportError for what cannot be converted exactly."""
    with damage_reported(container.path):
        return _checkpoint(container, name, source, license_)


def _checkpoint(container: GgufContainer, name: str, source: Source, license_: str | None) -> Checkpoint:
    metadata = container.metadata
    architecture = metadata.get("general.architecture")
    row = ARCHITECTURES.get(str(architecture))
    if row is None:
        raise ExportError(
            f"GGUF architecture {architecture!r} is not supported, known are {', '.join(ARCHITECTURES)}:"
            " export from the original checkpoint instead"
        )
    names: dict[str, str] = {}
    for gguf_name in container.tensors:
        hugging_face = row.hugging_face_name(gguf_name)
        if hugging_face is not None:
            names[hugging_face] = gguf_name
        elif gguf_name != ROPE_FACTORS:
            raise ExportError(
                f"the GGUF file holds {gguf_name}, which {architecture} models do not have:"
                " export from the original checkpoint instead"
            )
    embedding = container.tensors.get("token_embd.weight")
    if embedding is None:
        raise ExportError("the GGUF file lacks token_embd.weight: download it again")
    config = hugging_face_config(
        row,
        metadata,
        vocab_size=embedding.shape[0],
        tied="lm_head.weight" not in names,
        rope_factors=container.load(ROPE_FACTORS) if ROPE_FACTORS in container.tensors else None,
    )
    tokenizer = tokenizer_json(metadata)
    key = "tokenizer.ggml."
    return Checkpoint(
        name=name,
        source=source,
        config=config,
        tensors=_GgufTensors(container, row, names, config["num_attention_heads"], config["num_key_value_heads"]),
        tokenizer_json=tokenizer,
        chat_template=metadata.get("tokenizer.chat_template"),
        special_tokens=special_tokens(metadata),
        end_token_ids=end_token_ids(
            (metadata.get(f"{key}{kind}_token_id") for kind in ("eos", "eot", "eom")), tokenizer
        ),
        bos_token_id=metadata.get(key + "bos_token_id"),
        license=license_ or metadata.get("general.license"),
    )


class _GgufTensors:
    """TensorStore over a GGUF container."""

    def __init__(
        self, container: GgufContainer, row: GgufArchitecture, names: Mapping[str, str], heads: int, kv_heads: int
    ) -> None:
        self._container = container
        self._names = names
        # Only what llama.cpp's converter reordered, by suffix: name → number of heads.
        self._reordered = {"q_proj.weight": heads, "k_proj.weight": kv_heads} if row.interleaved_rope else {}

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._container.tensors[self._gguf_name(name)].shape

    def load(self, name: str) -> NDArray[np.float32]:
        heads = self._reordered.get(name.rpartition("self_attn.")[2])
        with damage_reported(self._container.path):
            values = self._container.load(self._gguf_name(name))
            if not np.isfinite(values).all():
                raise ValueError(f"{name} holds values that are not finite")
            return values if heads is None else undo_interleaved_rope(values, heads)

    def _gguf_name(self, name: str) -> str:
        try:
            return self._names[name]
        except KeyError:
            raise ExportError(f"the GGUF file lacks {name}: download it again, or take another file") from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
