"""Verification: exact figures on graphs that can be computed by hand, and refusal beyond the bounds."""

import dataclasses
import json
import re
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from handler.manifest import ModelManifest, Quality
from handler.ort.decoder import chosen_graph
from model_export import direct
from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.progress import Stopwatch
from model_export.recipes import RECIPES, Bounds, get_recipe
from model_export.verify import TEXT, verify
from tests.model_export.tiny import TOKENIZER, TOKENS
from tests.ort import decoders

CONFIG = decoders.CONFIG | {"vocab_size": len(TOKENS)}
CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
WORDS = "hello world, hello hell. " * 40


def exported(
    directory: Path, recipe: str, template: str | None = None, vocabulary: int = len(TOKENS)
) -> tuple[Checkpoint, ModelManifest]:
    source = decoders.checkpoint(
        CONFIG | {"vocab_size": vocabulary}, tokenizer_json=json.dumps(TOKENIZER), chat_template=template
    )
    (directory / "tokenizer.json").write_text(source.tokenizer_json)
    return source, decoders.export(source, recipe, directory)


def verified(directory: Path, recipe: str, bounds: Bounds | None = None, template: str | None = None) -> Quality:
    source, manifest = exported(directory, recipe, template)
    row = get_recipe(recipe)
    return verify(
        checkpoint=source,
        manifest=manifest,
        directory=directory,
        recipe=dataclasses.replace(row, bounds=bounds or row.bounds),
        build=direct.build,
        progress=Stopwatch(),
        text=WORDS,
    )


def test_fp32_is_its_own_reference(tmp_path: Path) -> None:
    quality = verified(tmp_path, "fp32")
    assert (quality.mean_kl, quality.max_kl, quality.top1_agreement) == (0, 0, 1)
    assert quality.perplexity == quality.reference_perplexity


def test_perplexity_is_what_torch_says(tmp_path: Path) -> None:
    import tokenizers

    ids = tokenizers.Tokenizer.from_str(json.dumps(TOKENIZER)).encode(WORDS, add_special_tokens=False).ids
    losses = [loss for start in range(0, len(ids), 512) for loss in _torch_losses(ids[start : start + 512])]
    quality = verified(tmp_path, "fp32")
    assert quality.tokens == len(losses)
    assert quality.perplexity == pytest.approx(np.exp(np.mean(losses)), rel=1e-4)


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "fp32"])
@pytest.mark.parametrize("template", [None, CHATML], ids=["no template", "a template"])
def test_a_quantized_graph_is_measured_against_fp32(tmp_path: Path, recipe: str, template: str | None) -> None:
    quality = verified(tmp_path, recipe, template=template)
    assert 0 < quality.mean_kl < quality.max_kl
    assert quality.perplexity != quality.reference_perplexity
    assert quality.greedy_chat


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        (
            Bounds(perplexity_ratio=0.5, mean_kl=1),
            r"int4: perplexity is \d\.\d+ × that of fp32, the recipe allows 0\.5",
        ),
        (Bounds(perplexity_ratio=9, mean_kl=1e-9), r"int4: mean KL from fp32 is 0\.\d+, the recipe allows 1e-09"),
    ],
    ids=["perplexity", "KL"],
)
def test_beyond_a_bound_is_refused_with_the_figure(tmp_path: Path, bounds: Bounds, message: str) -> None:
    with pytest.raises(ExportError, match=f"^{message}: use a recipe with more bits$"):
        verified(tmp_path, "int4", bounds)


@pytest.mark.parametrize("recipe", ["int8", "int4"])
def test_a_wrong_graph_of_our_kernels_is_refused_where_it_would_serve(tmp_path: Path, recipe: str) -> None:
    """Gates and what they gate are exchanged, in that graph only."""
    source, manifest = exported(tmp_path, recipe, vocabulary=-(-len(TOKENS) // 4) * 4)
    assert manifest.graph.kernels is not None
    path = tmp_path / manifest.graph.kernels
    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        if node.op_type.endswith("MLP"):
            base, added, norm, *weights = node.input
            third = len(weights) // 3
            gate, up, down = weights[:third], weights[third : 2 * third], weights[2 * third :]
            node.input[:] = [base, added, norm, *up, *gate, *down]
    path.write_bytes(model.SerializeToString())
    served = chosen_graph(manifest).library is not None
    with pytest.raises(ExportError, match=r"KL|perplexity") if served else nullcontext():
        verify(
            checkpoint=source,
            manifest=manifest,
            directory=tmp_path,
            recipe=get_recipe(recipe),
            build=direct.build,
            progress=Stopwatch(),
            text=WORDS,
        )


def test_a_template_that_refuses_a_plain_question_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"the chat template cannot render a plain question \(no system message\)"):
        verified(tmp_path, "fp32", template="{{ raise_exception('no system message') }}")


def test_the_shipped_text_is_long_enough_to_judge_by() -> None:
    text = TEXT.read_text()
    assert text.isascii()
    assert 1000 < len(re.findall(r"\w+", text)) < 2000


def _torch_losses(ids: Sequence[int]) -> Any:
    logits = decoders.torch_logits(CONFIG, list(ids)).astype(np.float64)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return [-float(row[target]) for row, target in zip(logits[:-1], ids[1:], strict=True)]


def test_a_graph_that_onnxruntime_cannot_run_is_refused_in_one_line(tmp_path: Path) -> None:
    short = decoders.checkpoint(CONFIG | {"max_position_embeddings": 16}, tokenizer_json=json.dumps(TOKENIZER))
    (tmp_path / "tokenizer.json").write_text(short.tokenizer_json)
    manifest = decoders.export(short, "fp32", tmp_path).model_copy(update={"context_window": 512})
    row = get_recipe("fp32")
    with pytest.raises(
        ExportError, match=r"^onnxruntime cannot run the exported graph \(.+\): try the other --exporter$"
    ):
        verify(
            checkpoint=short,
            manifest=manifest,
            directory=tmp_path,
            recipe=row,
            build=direct.build,
            progress=Stopwatch(),
            text=WORDS,
        )
