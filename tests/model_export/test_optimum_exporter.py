"""The optimum exporter on random models: what comes out, and what is refused with advice."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from handler.manifest import ModelManifest
from handler.ort.decoder import load_decoder
from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.optimum_exporter import build
from model_export.progress import Stopwatch
from model_export.recipes import get_recipe
from tests.oracles.tiny import VOCAB, Arrays, random_model


def checkpoint(model_type: str = "gpt2") -> Checkpoint:
    return random_model(model_type, {})[1]


def export(source: Checkpoint, recipe: str, directory: Path) -> ModelManifest:
    graph = build(source, get_recipe(recipe), directory, Stopwatch())
    return ModelManifest(
        name="tiny",
        created=0,
        source=source.source,
        architecture=source.config["architectures"][0],
        exporter="optimum",
        recipe=recipe,
        context_window=64,
        vocab_size=VOCAB,
        end_token_ids=source.end_token_ids,
        graph=graph,
        files={},
    )


def test_a_model_is_two_files_and_a_description(tmp_path: Path) -> None:
    graph = export(checkpoint(), "fp32", tmp_path).graph
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    assert (graph.file, graph.kv_layout) == ("model.onnx", "growing")
    past = ("batch_size", 4, "past_sequence_length", 16)
    assert [(spec.name, spec.shape) for spec in graph.past] == [
        (f"past_key_values.{layer}.{kind}", past) for layer in (0, 1) for kind in ("key", "value")
    ]
    assert [spec.name for spec in graph.inputs if spec not in graph.past] == [
        "input_ids",
        "attention_mask",
        "position_ids",
    ]
    assert graph.outputs[0].shape == ("batch_size", "sequence_length", VOCAB)


@pytest.mark.parametrize("recipe", ["int8", "int4"])
def test_gpt2s_matrices_are_all_in_blocks(recipe: str, tmp_path: Path) -> None:
    """GPT-2's layers are Gemms and its head is tied: what onnxruntime's own quantizer leaves out."""
    export(checkpoint(), recipe, tmp_path)
    nodes = onnx.load(tmp_path / "model.onnx", load_external_data=False).graph.node
    operators = [node.op_type for node in nodes]
    assert operators.count("MatMulNBits") == 2 * 4 + 1
    assert operators.count("GatherBlockQuantized") == 1
    assert "Gemm" not in operators


def test_eight_bits_are_near_fp32(tmp_path: Path) -> None:
    ids = list(range(0, VOCAB, 5))
    found = []
    for recipe in ("fp32", "int8"):
        directory = tmp_path / recipe
        directory.mkdir()
        manifest = export(checkpoint("phi"), recipe, directory)
        found.append(load_decoder(directory, manifest, threads=1).open().forward(ids, len(ids)))
    assert (found[0] - found[1]).std() < 0.05 * found[0].std()


def test_an_export_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its own progress is what a person sees; torch's warnings and optimum's advice are not."""
    export(checkpoint(), "int8", tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("model_type", ["mamba2", "no-such-model", None])
def test_an_architecture_that_optimum_does_not_know_is_refused(model_type: str | None, tmp_path: Path) -> None:
    source = checkpoint()
    unknown = replace(source, config={**source.config, "model_type": model_type})
    with pytest.raises(ExportError, match=f"optimum has no exporter for models of type {model_type!r}: choose another"):
        build(unknown, get_recipe("fp32"), tmp_path, Stopwatch())


def test_missing_weights_are_named(tmp_path: Path) -> None:
    source = checkpoint()
    name = "transformer.h.1.mlp.c_fc.weight"
    arrays = {key: source.tensors.load(key) for key in source.tensors if key != name}
    with pytest.raises(ExportError, match=rf"the checkpoint holds no {name} \(1 missing\): download it again"):
        build(replace(source, tensors=Arrays(arrays)), get_recipe("fp32"), tmp_path, Stopwatch())


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    source = checkpoint()
    arrays = {key: source.tensors.load(key) for key in source.tensors}
    arrays["transformer.wpe.weight"] = np.zeros((3, 5), np.float32)
    with pytest.raises(ExportError, match=r"transformers cannot load these weights \(.+\): mend the checkpoint"):
        build(replace(source, tensors=Arrays(arrays)), get_recipe("fp32"), tmp_path, Stopwatch())


def test_without_torch_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = checkpoint()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ExportError, match=r"needs torch, .*: pip install -r requirements/optimum\.txt"):
        build(source, get_recipe("fp32"), tmp_path, Stopwatch())
