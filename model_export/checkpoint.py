"""A checkpoint in memory, whatever it came from: the one type between the sources and the exporters."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from handler.manifest import GenerationDefaults, Source


class TensorStore(Protocol):
    """The weights, by their Hugging Face names (`model.layers.0.self_attn.q_proj.weight`), read one at a time."""

    def __contains__(self, name: str) -> bool: ...

    def __iter__(self) -> Iterator[str]: ...

    def shape(self, name: str) -> tuple[int, ...]: ...

    def load(self, name: str) -> NDArray[np.float32]:
        """The tensor as float32 in Hugging Face's layout ([out, in] for a linear). Raises ExportError if it is
        missing (naming it) or damaged."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SentencePooling:
    """How an embedding model makes one vector of a text. `window` is in tokens, start and end tokens included."""

    pooling: Literal["mean", "cls", "last"]
    normalize: bool
    window: int
    lower_case: bool = False  # texts are turned to lower case before the tokenizer sees them


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Everything an exporter needs. `config` is `config.json` as transformers writes it (rebuilt for a GGUF)."""

    name: str
    source: Source
    config: Mapping[str, Any]
    tensors: TensorStore
    tokenizer_json: str
    chat_template: str | None
    special_tokens: Mapping[str, str]
    end_token_ids: tuple[int, ...]
    bos_token_id: int | None = None
    generation_defaults: GenerationDefaults = field(default_factory=GenerationDefaults)
    license: str | None = None
    embedding: SentencePooling | None = None  # of an embedding model; None: a decoder
