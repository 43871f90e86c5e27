"""The optimum exporter on random encoders: the hidden states are torch's, padding or not."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import transformers

from handler.errors import ArtifactError
from handler.manifest import Embedding, ModelManifest, Source
from handler.ort.decoder import load_decoder
from handler.ort.embedding import load_encoder
from model_export.checkpoint import Checkpoint, SentencePooling
from model_export.optimum_exporter import build
from model_export.progress import Stopwatch
from model_export.recipes import get_recipe
from tests.oracles.tiny import VOCAB, Arrays

SIZES = {
    "vocab_size": VOCAB,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 66,
    "pad_token_id": 1,
}
DISTILBERT = {"dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 128}


def random_encoder(model_type: str, **facts: Any) -> tuple[Any, Checkpoint]:
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(model_type, **{**SIZES, **facts})
    model = transformers.MODEL_MAPPING[type(config)](config).eval()
    arrays = {name: value.numpy() for name, value in model.state_dict().items() if value.dtype == torch.float32}
    checkpoint = Checkpoint(
        name=model_type,
        source=Source(kind="directory", id=model_type),
        config={**config.to_dict(), "architectures": [type(model).__name__]},
        # A checkpoint may lack the pooler: only a classifier needs it.
        tensors=Arrays({name: value for name, value in arrays.items() if not name.startswith("pooler.")}),
        tokenizer_json="{}",
        chat_template=None,
        special_tokens={},
        end_token_ids=(),
        embedding=SentencePooling(pooling="mean", normalize=True, window=64),
    )
    return model, checkpoint


def exported(checkpoint: Checkpoint, recipe: str, directory: Path) -> ModelManifest:
    return ModelManifest(
        name="tiny",
        created=0,
        source=checkpoint.source,
        architecture=checkpoint.config["architectures"][0],
        exporter="optimum",
        recipe=recipe,
        context_window=64,
        vocab_size=VOCAB,
        end_token_ids=(),
        graph=build(checkpoint, get_recipe(recipe), directory, Stopwatch()),
        embedding=Embedding(pooling="mean", normalize=True, dimensions=64),
        files={},
    )


@pytest.mark.parametrize(
    ("model_type", "facts"),
    [("bert", {}), ("roberta", {}), ("mpnet", {}), ("distilbert", DISTILBERT)],
    ids=["bert", "roberta", "mpnet", "distilbert"],
)
def test_hidden_states_are_torchs(model_type: str, facts: dict[str, Any], tmp_path: Path) -> None:
    model, checkpoint = random_encoder(model_type, **facts)
    manifest = exported(checkpoint, "fp32", tmp_path)
    assert manifest.graph.outputs[0].shape[-1] == 64
    encoder = load_encoder(tmp_path, manifest, threads=1)
    texts = [[5, 6, 7, 8, 9, 10, 11], [5, 12, 13], [14]]
    mask = np.array([[int(i < len(text)) for i in range(7)] for text in texts])
    hidden = encoder.encode(np.array([text + [0] * (7 - len(text)) for text in texts]), mask)
    for row, text in zip(hidden, texts, strict=True):
        with torch.no_grad():
            expected = model(input_ids=torch.tensor([text])).last_hidden_state[0].numpy()
        assert np.abs(row[: len(text)] - expected).max() < 1e-5


def test_int8_is_blocks_for_what_enters_attention_and_what_narrows_and_rows_for_the_rest(tmp_path: Path) -> None:
    model, checkpoint = random_encoder("bert")
    manifest = exported(checkpoint, "int8", tmp_path)
    nodes = Counter(node.op_type for node in onnx.load(tmp_path / "model.onnx", load_external_data=False).graph.node)
    quantized = {name: nodes[name] for name in ("MatMulNBits", "MatMulIntegerToFloat", "QuantizeLinear")}
    assert quantized == {"MatMulNBits": 2 * 4, "MatMulIntegerToFloat": 2 * 2, "QuantizeLinear": 2 * 2}
    assert nodes["GatherBlockQuantized"] == 1
    token_ids = np.array([[5, 6, 7, 8, 9, 10, 11]])
    hidden = load_encoder(tmp_path, manifest, threads=1).encode(token_ids, np.ones_like(token_ids))
    with torch.no_grad():
        expected = model(input_ids=torch.tensor(token_ids)).last_hidden_state.numpy()
    assert (hidden * expected).sum() / np.linalg.norm(hidden) / np.linalg.norm(expected) > 0.999


def test_an_encoder_is_no_chat_model_and_a_decoder_no_embedding_model(tmp_path: Path) -> None:
    manifest = exported(random_encoder("bert")[1], "int8", tmp_path)
    assert manifest.graph.kv_layout == "none"
    with pytest.raises(ArtifactError, match="holds an embedding model: name it in LLM_EMBEDDING_MODEL"):
        load_decoder(tmp_path, manifest, threads=1)
    decoder = manifest.model_copy(update={"graph": manifest.graph.model_copy(update={"kv_layout": "growing"})})
    with pytest.raises(ArtifactError, match="holds a chat model and no embedding model"):
        load_encoder(tmp_path, decoder, threads=1)


def test_a_graph_that_takes_what_nobody_feeds_is_refused(tmp_path: Path) -> None:
    manifest = exported(random_encoder("bert")[1], "fp32", tmp_path)
    spec = manifest.graph.inputs[0].model_copy(update={"name": "pixel_values"})
    strange = manifest.model_copy(update={"graph": manifest.graph.model_copy(update={"inputs": (spec,)})})
    with pytest.raises(ArtifactError, match="takes pixel_values, which this server does not know"):
        load_encoder(tmp_path, strange, threads=1)
