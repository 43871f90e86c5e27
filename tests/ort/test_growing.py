"""The decoder with a growing KV cache, over a graph small enough to compute by hand.

The graph keeps each token id as a key and its negative as a value. A row of its logits says what it was fed: the
token, its position, the sum of the attention mask, the sum of the keys held and of the values held.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from handler.errors import ArtifactError
from handler.manifest import FileEntry, Graph, ModelManifest, Prefix, Source, TensorSpec
from handler.ort.baked import load_prefix, write_prefix
from handler.ort.growing import GrowingKVDecoder

WINDOW, ROW = 16, 5
PAST = ("batch", 1, "past", 1)
INPUTS: dict[str, tuple[str, tuple[int | str, ...]]] = {
    "input_ids": ("int64", ("batch", "step")),
    "attention_mask": ("int64", ("batch", "total")),
    "position_ids": ("int64", ("batch", "step")),
    "past_key_values.0.key": ("float32", PAST),
    "past_key_values.0.value": ("float32", PAST),
}
OUTPUTS: dict[str, tuple[str, tuple[int | str, ...]]] = {
    "present.0.value": ("float32", ("batch", 1, "total", 1)),  # in another order than the inputs, which is allowed
    "present.0.key": ("float32", ("batch", 1, "total", 1)),
    "logits": ("float32", ("batch", "step", ROW)),
}


def specs(tensors: dict[str, tuple[str, tuple[int | str, ...]]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec.model_validate({"name": name, "dtype": dtype, "shape": shape})
        for name, (dtype, shape) in tensors.items()
    )


def manifest(inputs: dict[str, tuple[str, tuple[int | str, ...]]] = INPUTS) -> ModelManifest:
    return ModelManifest(
        name="echo",
        created=0,
        source=Source(kind="directory", id="echo"),
        architecture="Echo",
        exporter="optimum",
        recipe="fp32",
        context_window=WINDOW,
        vocab_size=ROW,
        end_token_ids=(0,),
        graph=Graph(file="model.onnx", kv_layout="growing", inputs=specs(inputs), outputs=specs(OUTPUTS)),
        files={},
    )


def session() -> onnxruntime.InferenceSession:
    def value(name: str, dtype: str, shape: tuple[int | str, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)

    def constant(name: str, *axes: int) -> onnx.TensorProto:
        return helper.make_tensor(name, TensorProto.INT64, [len(axes)], axes)

    def node(op: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
        return helper.make_node(op, inputs, [output], **attributes)

    float32 = {"to": TensorProto.FLOAT}
    nodes = [
        node("Cast", ["input_ids"], "tokens", **float32),
        node("Unsqueeze", ["tokens", "heads and width"], "keys"),
        node("Neg", ["keys"], "values"),
        node("Concat", ["past_key_values.0.key", "keys"], "present.0.key", axis=2),
        node("Concat", ["past_key_values.0.value", "values"], "present.0.value", axis=2),
        node("Cast", ["position_ids"], "positions", **float32),
        node("Cast", ["attention_mask"], "mask", **float32),
        node("Sub", ["tokens", "tokens"], "zeros"),
    ]
    columns = []
    for column in ("tokens", "positions", "mask", "present.0.key", "present.0.value"):
        if column not in ("tokens", "positions"):
            nodes.append(node("ReduceSum", [column], f"sum of {column}", keepdims=0))
            nodes.append(node("Add", ["zeros", f"sum of {column}"], f"{column} row"))
            column += " row"
        nodes.append(node("Unsqueeze", [column, "width"], f"{column} column"))
        columns.append(f"{column} column")
    nodes.append(node("Concat", columns, "logits", axis=2))
    graph = helper.make_graph(
        nodes,
        "echo",
        [value(name, *spec) for name, spec in INPUTS.items()],
        [value(name, *spec) for name, spec in OUTPUTS.items()],
        [constant("heads and width", 1, 3), constant("width", 2)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def decoder() -> GrowingKVDecoder:
    return GrowingKVDecoder(session(), manifest())


def test_a_step_sees_its_tokens_their_positions_and_all_that_came_before(decoder: GrowingKVDecoder) -> None:
    sequence = decoder.open()
    assert sequence.length == 0
    assert sequence.forward([3, 4], 2).tolist() == [[3, 0, 2, 7, -7], [4, 1, 2, 7, -7]]
    assert sequence.forward(np.array([5])).tolist() == [[5, 2, 3, 12, -12]]
    assert sequence.length == 3


def test_only_the_last_rows_come_back(decoder: GrowingKVDecoder) -> None:
    assert decoder.open().forward([1, 1, 1, 2]).tolist() == [[2, 3, 4, 5, -5]]


def test_truncating_forgets_the_end(decoder: GrowingKVDecoder) -> None:
    sequence = decoder.open()
    sequence.forward([1, 2, 3, 4])
    sequence.truncate(4)
    sequence.truncate(2)
    assert sequence.length == 2
    assert sequence.forward([7]).tolist() == [[7, 2, 3, 10, -10]]
    sequence.truncate(0)
    assert sequence.forward([7]).tolist() == [[7, 0, 1, 7, -7]]


def test_a_restored_beginning_goes_its_own_way(decoder: GrowingKVDecoder) -> None:
    sequence = decoder.open()
    sequence.forward([1, 2, 3, 4])
    restored = decoder.restore([1, 2, 3], sequence.held(3))
    assert restored.nbytes == 3 * 2 * 4
    assert restored.forward([7]).tolist() == [[7, 3, 4, 13, -13]]
    assert (restored.token_ids, restored.exact_length) == ([1, 2, 3, 7], 3)
    assert sequence.forward([7]).tolist() == [[7, 4, 5, 17, -17]]


def test_one_that_rests_leaves_its_neighbours(decoder: GrowingKVDecoder) -> None:
    sequence = decoder.open()
    sequence.forward([1, 2])
    first, second = sequence.fork(2)
    decoder.advance([first, second], [3, 4])
    first.rest()
    assert (first.nbytes, first.token_ids, second.token_ids) == (3 * 2 * 4, [1, 2, 3], [1, 2, 4])
    assert second.forward([5]).tolist() == [[5, 3, 4, 12, -12]]
    assert first.forward([5]).tolist() == [[5, 3, 4, 11, -11]]


@pytest.mark.parametrize("length", [-1, 3])
def test_a_sequence_is_not_truncated_to_what_it_does_not_hold(decoder: GrowingKVDecoder, length: int) -> None:
    sequence = decoder.open()
    sequence.forward([1, 2])
    with pytest.raises(ValueError, match=f"a sequence of 2 tokens cannot be truncated to {length}"):
        sequence.truncate(length)


def test_the_window_is_the_limit(decoder: GrowingKVDecoder) -> None:
    sequence = decoder.open()
    sequence.forward([1] * WINDOW)
    with pytest.raises(ValueError, match="17 positions do not fit the context window of 16"):
        sequence.forward([1])
    assert sequence.length == WINDOW


@pytest.mark.parametrize(("tokens", "rows"), [([1, 2], 3), ([1], 0), ([], 1)])
def test_rows_are_of_the_tokens_of_the_step(decoder: GrowingKVDecoder, tokens: list[int], rows: int) -> None:
    with pytest.raises(ValueError, match="rows of logits asked of a step of"):
        decoder.open().forward(tokens, rows)


def test_sequences_of_one_decoder_may_step_in_different_threads(decoder: GrowingKVDecoder) -> None:
    def run(token: int) -> list[list[float]]:
        sequence = decoder.open()
        return [sequence.forward([token])[0].tolist() for _ in range(WINDOW)]

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(run, range(8)))
    assert found == [
        [[token, n, n + 1, token * (n + 1), -token * (n + 1)] for n in range(WINDOW)] for token in range(8)
    ]


def test_the_decoder_tells_the_models_sizes(decoder: GrowingKVDecoder) -> None:
    assert (decoder.vocab_size, decoder.context_window) == (ROW, WINDOW)


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("token_type_ids", ("int64", ("batch", "step")), "takes token_type_ids, which this server does not know"),
        ("past_key_values.0.key", ("float32", ("batch", 1, 8, 1)), "of which not one dimension grows"),
    ],
    ids=["an input that nobody feeds", "a cache of fixed size"],
)
def test_a_graph_of_another_kind_is_refused(name: str, spec: Any, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        GrowingKVDecoder(session(), manifest(INPUTS | {name: spec}))


def test_a_baked_prefix_is_read_back(decoder: GrowingKVDecoder, tmp_path: Path) -> None:
    sequence = decoder.open()
    sequence.forward([1, 2, 3, 4])
    write_prefix(tmp_path / "prefix.kv", sequence)
    entry = FileEntry(sha256="0" * 64, size=4 * (4 + 4 + 4))
    baked = load_prefix(
        tmp_path, manifest().model_copy(update={"prefix": Prefix(tokens=4), "files": {"prefix.kv": entry}})
    )
    assert baked is not None
    assert baked.token_ids == (1, 2, 3, 4)
    assert decoder.restore((1, 2, 3), baked.held(3)).forward([7]).tolist() == [[7, 3, 4, 13, -13]]
