"""The graph of our kernels: transformers' own modules on the dequantised weights, in float64, are the oracle, and the
graph that runs everywhere is another."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from handler.manifest import ModelManifest
from handler.ort import kernels
from handler.ort.decoder import load_decoder
from handler.ort.graph_choice import choose_graph
from tests.ort import decoders

QWEN2 = {"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": False, "sliding_window": 32}
# Odd numbers of blocks, outputs that are no multiple of what a thread computes, and each way that models differ.
MODELS: dict[str, dict[str, Any]] = {
    "two blocks and three": {},
    "one block": {"hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1},
    "three blocks and five": {"hidden_size": 96, "num_attention_heads": 6, "intermediate_size": 160},
    "five blocks and one": {"hidden_size": 160, "num_attention_heads": 10, "intermediate_size": 32, "vocab_size": 332},
    "an own head": {"tie_word_embeddings": False},
    "wide heads": {"head_dim": 64},
    "biases": QWEN2,
    "one layer": {"num_hidden_layers": 1},
}
RECIPES = ("int8", "int4")


@pytest.mark.parametrize("overrides", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_only_the_rounding_of_activations_tells_it_from_arithmetic(
    tmp_path: Path, recipe: str, overrides: dict[str, Any]
) -> None:
    config, token_ids = decoders.CONFIG | overrides, decoders.tokens(48)
    found = decoders.logits(decoders.decoder(tmp_path, f"{recipe}, kernels", **overrides), token_ids)
    expected = decoders.torch_logits(config, token_ids, _dequantised(tmp_path / "model.kernels.onnx", config))
    assert expected.dtype == np.float64
    assert _kl(expected, found) < 0.005
    # As near as the graph that runs everywhere, which rounds the same activations.
    everywhere = decoders.logits(decoders.decoder(tmp_path, recipe, **overrides), token_ids)
    assert _kl(expected, found) < 1.1 * _kl(expected, everywhere)
    assert _kl(everywhere, found) < 0.005


@pytest.mark.parametrize("recipe", RECIPES)
def test_steps_of_any_width_and_any_threads_leave_the_same_bits(tmp_path: Path, recipe: str) -> None:
    token_ids = decoders.tokens(300)
    whole = decoders.decoder(tmp_path, f"{recipe}, kernels").open()
    expected = whole.forward(token_ids, 300).copy()
    for threads in (1, 2):
        model = decoders.decoder(tmp_path, f"{recipe}, kernels", threads=threads)
        for width in (1, 2, 3, 4, 5, 7, 33, 256):
            session, logits = model.open(), []
            while (start := session.length) < 300:
                ids = token_ids[start : start + width]
                logits.append(session.forward(ids, len(ids)).copy())
            np.testing.assert_array_equal(np.concatenate(logits), expected)
            for kv, expected_kv in zip(session.held(300), whole.held(300), strict=True):
                np.testing.assert_array_equal(kv, expected_kv)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("factor", [0, 1e-30, 1e-6, 1e6, 1e30])
def test_tokens_whose_activations_are_nothing_or_enormous_harm_nobody(
    tmp_path: Path, recipe: str, factor: float
) -> None:
    """Token 5 is as it was, before and after one whose embedding is out of all measure."""
    source = decoders.checkpoint(decoders.CONFIG | {"tie_word_embeddings": False})
    values = dict(decoders.weights(source.config))
    table = values["model.embed_tokens.weight"].copy()
    table[7] *= np.float32(factor)
    values["model.embed_tokens.weight"] = table
    manifest = decoders.export(dataclasses.replace(source, tensors=decoders.Tensors(values)), recipe, tmp_path)
    model = load_decoder(tmp_path, manifest, threads=1, choice=choose_graph(manifest.graph, kernels.LIBRARY))
    found = model.open().forward([5, 7, 5, 7], 4).copy()
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[0], model.open().forward([5])[0])


def test_no_weight_is_written_twice(tmp_path: Path) -> None:
    """Both graphs name the same bytes, and of the file's bytes all but the gaps between tensors are somebody's."""
    for recipe in RECIPES:
        manifest = decoders.export(decoders.checkpoint(decoders.CONFIG), recipe, tmp_path)
        assert manifest.graph.kernels == "model.kernels.onnx"
        everywhere, ours = (_pieces(tmp_path / name) for name in (manifest.graph.file, manifest.graph.kernels))
        assert ours.items() <= everywhere.items()
        distinct = set(everywhere.values())
        assert sum(-(-length // 4096) * 4096 for _, length in distinct) >= (tmp_path / "model.onnx.data").stat().st_size


def test_both_graphs_take_and_give_the_same(tmp_path: Path) -> None:
    decoders.export(decoders.checkpoint(decoders.CONFIG), "int4", tmp_path)
    first, second = (_graph(tmp_path / name) for name in ("model.onnx", "model.kernels.onnx"))
    assert (list(first.input), list(first.output)) == (list(second.input), list(second.output))


@pytest.mark.parametrize(
    ("recipe", "overrides"),
    [
        ("fp32", {}),
        ("int8-blocks", {}),
        ("int4", {"vocab_size": 321}),
        ("int8", {"vocab_size": 321}),
        ("int8", {"intermediate_size": 100}),
        ("int4", {"head_dim": 272}),
        ("int4", {"num_attention_heads": 98, "num_key_value_heads": 1, "head_dim": 16}),
    ],
    ids=["fp32", "int8-blocks", "321 tokens", "321 tokens, int8", "100 channels", "wide heads", "98 heads with one"],
)
def test_what_the_kernels_do_not_suit_has_one_graph(tmp_path: Path, recipe: str, overrides: dict[str, Any]) -> None:
    manifest = decoders.export(decoders.checkpoint(decoders.CONFIG | overrides), recipe, tmp_path)
    assert manifest.graph.kernels is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_graph_of_weights_that_do_not_fit_is_an_error_and_no_crash(tmp_path: Path, recipe: str) -> None:
    manifest = decoders.export(decoders.checkpoint(decoders.CONFIG), recipe, tmp_path)
    path = tmp_path / "model.kernels.onnx"
    whole = path.read_bytes()
    damaged = list(_damaged(path))
    assert len(damaged) > 20
    for graph in damaged:
        path.write_bytes(graph)
        with pytest.raises(Exception, match=r"please|must agree|cannot be loaded|[Ss]hape"):
            _run(tmp_path, manifest)
    path.write_bytes(whole)
    _run(tmp_path, manifest)


def _run(directory: Path, manifest: ModelManifest) -> None:
    choice = choose_graph(manifest.graph, kernels.LIBRARY)
    session = load_decoder(directory, manifest, threads=1, choice=choice).open()
    session.forward(decoders.tokens(6))
    session.forward([1])


def _damaged(path: Path) -> Iterator[bytes]:
    """Each weight of each kind of operator replaced by another of its type, which has another shape."""
    model = onnx.load(path, load_external_data=False)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    seen = set()
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if node.domain != "lambda_llm" or name not in tensors or (node.op_type, place) in seen:
                continue
            seen.add((node.op_type, place))
            for other in tensors.values():
                if other.data_type == tensors[name].data_type and np.prod(other.dims) != np.prod(tensors[name].dims):
                    node.input[place] = other.name
                    yield model.SerializeToString()
            node.input[place] = name


def _graph(path: Path) -> Any:
    return onnx.load(path, load_external_data=False).graph


def _pieces(path: Path) -> dict[str, tuple[int, int]]:
    """Offset and length of each tensor in the data file."""
    found = {}
    for tensor in _graph(path).initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            facts = {entry.key: entry.value for entry in tensor.external_data}
            found[tensor.name] = int(facts["offset"]), int(facts["length"])
    return found


def _dequantised(path: Path, config: dict[str, Any]) -> dict[str, NDArray[np.float64]]:
    """The weights that the graph's integers stand for, by their Hugging Face names, in float64."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    values: dict[str, NDArray[np.float64]] = {}
    for name, array in stored.items():
        if name.endswith("norm.weight"):
            values[name] = array.astype(np.float64)
        elif name.endswith("_proj.weight"):
            values[name] = _matrix(stored, name.removesuffix(".weight"))
        elif name.endswith("_proj.bias"):
            values[name] = array.astype(np.float64)
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    for name in [name for name in values if "qkv_proj" in name]:
        parts = np.split(values.pop(name), np.cumsum([heads * head_dim, kv_heads * head_dim]))
        values |= {name.replace("qkv_proj", f"{part}_proj"): piece for part, piece in zip("qkv", parts, strict=True)}
    values["model.embed_tokens.weight"] = _blocks8(stored, "vocabulary", "flat")
    if "head.weight" in stored:
        values["lm_head.weight"] = _blocks8(stored, "head", "weight")
    return values


def _matrix(stored: dict[str, NDArray[Any]], name: str) -> NDArray[np.float64]:
    weight, scales = stored[f"{name}.weight"], stored[f"{name}.scales"].astype(np.float64)
    if weight.dtype == np.int8:
        return weight.T * scales[:, None]
    steps = np.stack([weight & 15, weight >> 4], axis=-1).reshape(*weight.shape[:2], 32).astype(np.float64) - 8
    found: NDArray[np.float64] = steps * scales[..., None] + stored[f"{name}.offsets"].T[..., None]
    return found.reshape(len(weight), -1)


def _blocks8(stored: dict[str, NDArray[Any]], name: str, values: str) -> NDArray[np.float64]:
    integers = stored[f"{name}.{values}"].astype(np.float64) - 128
    blocks = integers.reshape(len(integers), -1, 32)
    found: NDArray[np.float64] = blocks * stored[f"{name}.scales"].reshape(*blocks.shape[:2], 1)
    return found.reshape(len(blocks), -1)


def _kl(expected: NDArray[np.floating], found: NDArray[np.floating]) -> float:
    """Mean, in nats per position."""
    first, second = (_log_softmax(logits.astype(np.float64)) for logits in (expected, found))
    return float((np.exp(first) * (first - second)).sum(axis=1).mean())


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    found: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found
