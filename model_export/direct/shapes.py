"""Whether config and weights belong together: the shape of every tensor that the graph reads, before any is read."""

from collections.abc import Iterator

from model_export.checkpoint import TensorStore
from model_export.direct.architectures import DecoderConfig
from model_export.errors import ExportError

Shape = tuple[int, ...]


def check(config: DecoderConfig, tensors: TensorStore) -> None:
    """Raises ExportError naming the first tensor that is missing or not as large as the config says."""
    for name, expected in _expected(config):
        if name not in tensors:
            raise ExportError(f"the checkpoint lacks the tensor {name}: download it again")
        found = tensors.shape(name)
        if found != expected:
            raise ExportError(
                f"{name} is {_shown(found)}, but config.json makes it {_shown(expected)}: weights and config.json are"
                " of different models, download both again"
            )


def _expected(config: DecoderConfig) -> Iterator[tuple[str, Shape]]:
    hidden, inner = config.hidden, config.intermediate
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    yield "model.embed_tokens.weight", (config.vocab, hidden)
    for layer in range(config.layers):
        prefix = f"model.layers.{layer}"
        for part, rows in (("q", queries), ("k", keys), ("v", keys)):
            yield f"{prefix}.self_attn.{part}_proj.weight", (rows, hidden)
            if config.architecture.qkv_bias:
                yield f"{prefix}.self_attn.{part}_proj.bias", (rows,)
        yield f"{prefix}.self_attn.o_proj.weight", (hidden, queries)
        yield f"{prefix}.mlp.gate_proj.weight", (inner, hidden)
        yield f"{prefix}.mlp.up_proj.weight", (inner, hidden)
        yield f"{prefix}.mlp.down_proj.weight", (hidden, inner)
        yield f"{prefix}.input_layernorm.weight", (hidden,)
        yield f"{prefix}.post_attention_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)
    if not config.tied:
        yield "lm_head.weight", (config.vocab, hidden)


def _shown(shape: Shape) -> str:
    return " × ".join(map(str, shape))
