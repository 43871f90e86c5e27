import re

import pytest

from handler.chat.fingerprint import fingerprint
from handler.manifest import FileEntry, Graph, ModelManifest, Source

GRAPH = "model.onnx"


def manifest(**changes: object) -> ModelManifest:
    plain = ModelManifest(
        name="m",
        created=0,
        source=Source(kind="directory", id="m"),
        architecture="LlamaForCausalLM",
        exporter="direct",
        recipe="int8",
        context_window=8,
        vocab_size=3,
        end_token_ids=(2,),
        graph=Graph(file="model.onnx", kv_layout="shared", inputs=(), outputs=()),
        files={name: FileEntry(sha256="0" * 64, size=1) for name in ("model.onnx", "tokenizer.json")},
    )
    return plain.model_copy(update=changes)


def test_a_fingerprint_is_short_and_repeatable() -> None:
    assert re.fullmatch(r"fp_[0-9a-f]{10}", fingerprint(manifest(), GRAPH, "1.0"))
    assert fingerprint(manifest(), GRAPH, "1.0") == fingerprint(manifest(name="other", created=9), GRAPH, "1.0")


@pytest.mark.parametrize(
    ("changes", "graph", "version"),
    [
        pytest.param({"files": {"model.onnx": FileEntry(sha256="1" * 64, size=1)}}, GRAPH, "1.0", id="a file"),
        pytest.param({"end_token_ids": (1,)}, GRAPH, "1.0", id="the end tokens"),
        pytest.param({}, "model.kernels.onnx", "1.0", id="the graph that runs"),
        pytest.param({}, GRAPH, "1.1", id="the engine"),
    ],
)
def test_what_changes_answers_changes_the_fingerprint(changes: dict[str, object], graph: str, version: str) -> None:
    assert fingerprint(manifest(**changes), graph, version) != fingerprint(manifest(), GRAPH, "1.0")
