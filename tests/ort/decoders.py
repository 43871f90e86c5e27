"""Tiny random decoders: a checkpoint in memory, its exported graph behind the serving decoder, and torch's opinion."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handler.engine.ports import Decoder
from handler.manifest import ModelManifest, Source
from handler.ort import kernels
from handler.ort.decoder import load_decoder
from handler.ort.graph_choice import choose_graph
from model_export import direct
from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.progress import Stopwatch
from model_export.recipes import get_recipe
from tests.model_export.tiny import TOKENIZER

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class Tensors:
    """A TensorStore over a dictionary."""

    values: Mapping[str, NDArray[np.float32]]

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.values[name].shape

    def load(self, name: str) -> NDArray[np.float32]:
        if name not in self.values:
            raise ExportError(f"the checkpoint has no {name}")
        return self.values[name]


def weights(config: Mapping[str, Any], seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Random weights of a size that keeps the logits within a few units, by their Hugging Face names."""
    rng = np.random.default_rng(seed)
    hidden, inner, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    head_dim = config.get("head_dim") or hidden // config["num_attention_heads"]
    query, key_value = (config[f"num_{kind}_heads"] * head_dim for kind in ("attention", "key_value"))
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocab, hidden), "model.norm.weight": (hidden,)}
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (vocab, hidden)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}"
        shapes[f"{prefix}.input_layernorm.weight"] = shapes[f"{prefix}.post_attention_layernorm.weight"] = (hidden,)
        for name, outputs in (("q", query), ("k", key_value), ("v", key_value)):
            shapes[f"{prefix}.self_attn.{name}_proj.weight"] = (outputs, hidden)
            if config["architectures"] == ["Qwen2ForCausalLM"]:
                shapes[f"{prefix}.self_attn.{name}_proj.bias"] = (outputs,)
        shapes[f"{prefix}.self_attn.o_proj.weight"] = (hidden, query)
        shapes[f"{prefix}.mlp.gate_proj.weight"] = shapes[f"{prefix}.mlp.up_proj.weight"] = (inner, hidden)
        shapes[f"{prefix}.mlp.down_proj.weight"] = (hidden, inner)
    return {
        name: (rng.normal(size=shape) * 0.15 + (1 if "norm" in name else 0)).astype(np.float32)
        for name, shape in shapes.items()
    }


def checkpoint(
    config: Mapping[str, Any], *, tokenizer_json: str = json.dumps(TOKENIZER), chat_template: str | None = None
) -> Checkpoint:
    """A random checkpoint of that config."""
    return Checkpoint(
        name="tiny",
        source=Source(kind="directory", id="tiny"),
        config=config,
        tensors=Tensors(weights(config)),
        tokenizer_json=tokenizer_json,
        chat_template=chat_template,
        special_tokens={},
        end_token_ids=(2,),
    )


def export(source: Checkpoint, recipe: str, directory: Path) -> ModelManifest:
    """Builds the graph in `directory` and drafts its manifest."""
    graph = direct.build(source, get_recipe(recipe), directory, Stopwatch())
    return ModelManifest(
        name="tiny",
        created=0,
        source=source.source,
        architecture=source.config["architectures"][0],
        exporter="direct",
        recipe=recipe,
        context_window=source.config["max_position_embeddings"],
        vocab_size=source.config["vocab_size"],
        end_token_ids=source.end_token_ids,
        graph=graph,
        files={},
    )


GRAPHS = ("fp32", "int8", "int8-blocks", "int4", "int8, kernels", "int4, kernels")
"""A recipe each, by the graph that runs everywhere, or by that of our kernels."""


def decoder(directory: Path, graph: str = "fp32", *, threads: int = 1, **overrides: Any) -> Decoder:
    """A random decoder of CONFIG with `overrides`, one of GRAPHS, exported into `directory`."""
    recipe, _, by_kernels = graph.partition(", ")
    manifest = export(checkpoint(CONFIG | overrides), recipe, directory)
    choice = choose_graph(manifest.graph, kernels.LIBRARY if by_kernels else None)
    assert (choice.library is not None) == bool(by_kernels)
    return load_decoder(directory, manifest, threads=threads, choice=choice)


def tokens(count: int, seed: int = 1) -> list[int]:
    return [int(token) for token in np.random.default_rng(seed).integers(CONFIG["vocab_size"], size=count)]


def logits(model: Decoder, token_ids: list[int]) -> NDArray[np.float32]:
    """All logits [len(token_ids), vocab] of a fresh sequence, run in one step."""
    return model.open().forward(token_ids, len(token_ids)).copy()


def torch_logits(
    config: Mapping[str, Any], token_ids: list[int], values: Mapping[str, NDArray[np.floating]] | None = None
) -> NDArray[np.floating]:
    """What transformers says about the checkpoint of that config, or of these values in their own precision: float
    [len(token_ids), vocab]."""
    import torch
    import transformers

    architecture = config["architectures"][0]
    config_class = getattr(transformers, architecture.replace("ForCausalLM", "Config"))
    model = getattr(transformers, architecture)(config_class(**config, attn_implementation="eager"))
    state = {name: torch.from_numpy(value) for name, value in (values or weights(config)).items()}
    model.to(next(iter(state.values())).dtype)
    missing = model.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    assert set(missing.missing_keys) <= {"lm_head.weight"}
    model.tie_weights()
    with torch.no_grad():
        found: NDArray[np.floating] = model.eval()(torch.tensor([token_ids])).logits[0].numpy()
    return found
