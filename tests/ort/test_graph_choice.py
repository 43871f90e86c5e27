"""Which graph of a model runs: ours where there is one and a library with its operators, else the one for everyone."""

import dataclasses
from pathlib import Path

import pytest

from handler.errors import ArtifactError
from handler.manifest import Graph
from handler.ort import kernels
from handler.ort.decoder import load_decoder
from handler.ort.graph_choice import GraphChoice, choose_graph
from tests.ort import decoders

LIBRARY = Path("libkernels.so")
ONE = Graph(file="model.onnx", kv_layout="shared", inputs=(), outputs=())
TWO = ONE.model_copy(update={"kernels": "model.kernels.onnx"})


@pytest.mark.parametrize(
    ("graph", "library", "expected"),
    [
        (ONE, None, GraphChoice(graph=ONE, library=None)),
        (ONE, LIBRARY, GraphChoice(graph=ONE, library=None)),
        (TWO, None, GraphChoice(graph=TWO, library=None)),
        (
            TWO,
            LIBRARY,
            GraphChoice(
                graph=TWO.model_copy(update={"file": "model.kernels.onnx", "width_free": True, "company_free": True}),
                library=LIBRARY,
            ),
        ),
    ],
    ids=["one graph", "one graph, a library", "two graphs, no library", "two graphs and a library"],
)
def test_the_kernels_graph_is_for_those_who_have_kernels(
    graph: Graph, library: Path | None, expected: GraphChoice
) -> None:
    assert choose_graph(graph, library) == expected


def test_a_wider_step_costs_more_and_less_for_each_token() -> None:
    costs = choose_graph(TWO, None).step_costs
    each = [cost / width for width, cost in enumerate(costs, 1)]
    assert costs[0] == 1
    assert list(costs) == sorted(set(costs))
    assert each[-1] == min(each)


def test_a_growing_cache_is_given_no_costs_so_nothing_is_guessed() -> None:
    assert choose_graph(ONE.model_copy(update={"kv_layout": "growing"}), None).step_costs == ()


@pytest.mark.parametrize("unused", ["model.kernels.onnx", "model.onnx"])
def test_only_the_graph_that_runs_is_read(tmp_path: Path, unused: str) -> None:
    manifest = decoders.export(decoders.checkpoint(decoders.CONFIG), "int4", tmp_path)
    (tmp_path / unused).unlink()
    choice = choose_graph(manifest.graph, kernels.LIBRARY if unused == "model.onnx" else None)
    assert load_decoder(tmp_path, manifest, threads=1, choice=choice).open().forward([1]).shape == (1, 320)


@pytest.mark.parametrize("content", [None, b"", b"no library"], ids=["missing", "empty", "text"])
def test_a_library_that_is_none_is_one_line_with_its_name(tmp_path: Path, content: bytes | None) -> None:
    manifest = decoders.export(decoders.checkpoint(decoders.CONFIG), "int4", tmp_path)
    if content is not None:
        (tmp_path / "libkernels.so").write_bytes(content)
    choice = dataclasses.replace(choose_graph(manifest.graph, kernels.LIBRARY), library=tmp_path / "libkernels.so")
    with pytest.raises(ArtifactError, match=r"libkernels\.so cannot be loaded \(.+\): build it again with") as caught:
        load_decoder(tmp_path, manifest, threads=1, choice=choice)
    assert "\n" not in caught.value.message
