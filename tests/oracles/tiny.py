"""Random models of a few thousand weights, as transformers makes them."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from handler.manifest import Source
from model_export.checkpoint import Checkpoint

VOCAB, WINDOW = 96, 64
_SIZES = {
    "vocab_size": VOCAB,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": WINDOW,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


class Arrays:
    """A `TensorStore` over arrays."""

    def __init__(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        self._arrays = arrays

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._arrays[name].shape

    def load(self, name: str) -> NDArray[np.float32]:
        return self._arrays[name]


def random_model(model_type: str, facts: Mapping[str, Any]) -> tuple[Any, Checkpoint]:
    """The torch model and its checkpoint. Weights are large enough for the logits to differ by units, not by noise."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(model_type, **{**_SIZES, **facts})
    model = transformers.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)](config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.3)
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    record = {"max_position_embeddings": WINDOW, **config.to_dict(), "architectures": [type(model).__name__]}
    return model, Checkpoint(
        name=model_type,
        source=Source(kind="directory", id=model_type),
        config=record,
        tensors=Arrays(arrays),
        tokenizer_json="{}",
        chat_template=None,
        special_tokens={},
        end_token_ids=(2,),
    )
