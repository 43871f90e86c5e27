"""Facts about checkpoint directories: every shape that transformers wrote in the course of time is read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from handler.manifest import GenerationDefaults, Source
from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.progress import Stopwatch
from model_export.sources import load_checkpoint
from model_export.sources.safetensors import SafetensorsStore
from tests.model_export import tiny


def load(directory: Path) -> Checkpoint:
    return load_checkpoint(str(directory), Stopwatch())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tiny.write_directory(tmp_path / "tiny-chat", tiny.weights())


def shard(directory: Path) -> tuple[Path, Path]:
    """Cuts the directory's one file in two shards with an index."""
    weights = tiny.weights()
    names = list(weights)
    parts = {"model-00001-of-00002.safetensors": names[:5], "model-00002-of-00002.safetensors": names[5:]}
    for file, held in parts.items():
        save_file({name: weights[name] for name in held}, directory / file)
    (directory / "model.safetensors").unlink()
    tiny.write_json(
        directory / "model.safetensors.index.json",
        {"metadata": {}, "weight_map": {name: file for file, held in parts.items() for name in held}},
    )
    first, second = (directory / file for file in parts)
    return first, second


def write_bfloat16(path: Path, name: str, values: np.ndarray[Any, np.dtype[np.uint16]]) -> None:
    header = json.dumps({name: {"dtype": "BF16", "shape": values.shape, "data_offsets": [0, values.nbytes]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + values.tobytes())


def test_a_directory_is_read_whole(directory: Path) -> None:
    checkpoint = load(directory)
    assert (checkpoint.name, checkpoint.source) == ("tiny-chat", Source(kind="directory", id="tiny-chat"))
    assert dict(checkpoint.config) == tiny.CONFIG
    assert json.loads(checkpoint.tokenizer_json) == tiny.TOKENIZER
    assert checkpoint.chat_template == tiny.CHAT_TEMPLATE
    assert checkpoint.special_tokens == {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
    assert (checkpoint.bos_token_id, checkpoint.end_token_ids) == (1, (2, 0))
    assert checkpoint.generation_defaults == GenerationDefaults(temperature=0.2, top_p=0.9)
    assert checkpoint.license is None
    weights = tiny.weights()
    assert set(checkpoint.tensors) == set(weights)
    for name, values in weights.items():
        np.testing.assert_array_equal(checkpoint.tensors.load(name), values)


def test_shards_are_one_store(directory: Path) -> None:
    shard(directory)
    checkpoint = load(directory)
    for name, values in tiny.weights().items():
        np.testing.assert_array_equal(checkpoint.tensors.load(name), values)


def test_a_half_precision_tensor_is_read_as_float32(directory: Path) -> None:
    save_file({"half": np.array([0.5, -2.0], np.float16)}, directory / "model.safetensors")
    np.testing.assert_array_equal(SafetensorsStore(directory).load("half"), np.array([0.5, -2.0], np.float32))


def test_a_bfloat16_tensor_is_the_upper_half_of_a_float32(directory: Path) -> None:
    values = np.array([[1.0, -2.5], [0.0, 3.140625]], np.float32)  # all exact in eight bits of mantissa
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)
    write_bfloat16(directory / "model.safetensors", "brain", upper)
    np.testing.assert_array_equal(SafetensorsStore(directory).load("brain"), values)


def test_a_template_file_wins_over_the_configuration(directory: Path) -> None:
    (directory / "chat_template.jinja").write_text("from the file")
    assert load(directory).chat_template == "from the file"


def test_of_several_templates_the_default_is_taken(directory: Path) -> None:
    templates = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]
    tiny.write_json(directory / "tokenizer_config.json", {"chat_template": templates})
    assert load(directory).chat_template == "plain"
    tiny.write_json(directory / "tokenizer_config.json", {"chat_template": templates[:1]})
    with pytest.raises(ExportError, match=r"the chat templates tool_use and none called default: write the one to use"):
        load(directory)


def test_a_model_without_a_template_is_no_error(directory: Path) -> None:
    tiny.write_json(directory / "tokenizer_config.json", {"eos_token": "<|im_end|>"})
    assert load(directory).chat_template is None


def test_special_tokens_may_be_in_a_file_of_their_own(directory: Path) -> None:
    tiny.write_json(directory / "tokenizer_config.json", {})
    tiny.write_json(directory / "special_tokens_map.json", {"eos_token": {"content": "<|im_end|>"}, "other": "x"})
    assert load(directory).special_tokens == {"eos_token": "<|im_end|>"}


def test_tokens_that_only_the_configuration_adds_are_in_the_tokenizer(directory: Path) -> None:
    token = {"content": "<tool>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    new_id = len(tiny.TOKENS)
    added = {"2": token | {"content": "<|im_end|>", "special": True}, str(new_id): token | {"special": False}}
    tiny.write_json(directory / "tokenizer_config.json", {"added_tokens_decoder": added})
    tokenizer = Tokenizer.from_str(load(directory).tokenizer_json)
    assert tokenizer.encode("<tool><|im_end|>").ids == [new_id, 2]


@pytest.mark.parametrize(
    ("generation", "config", "ends"),
    [
        ([2, 5], 7, (2, 5, 7, 0)),
        (None, 7, (7, 2, 0)),
        (0, None, (0, 2)),
    ],
)
def test_every_declared_end_token_ends(
    directory: Path, generation: object, config: object, ends: tuple[int, ...]
) -> None:
    tiny.write_json(directory / "generation_config.json", {"eos_token_id": generation})
    tiny.write_json(directory / "config.json", tiny.CONFIG | {"eos_token_id": config})
    assert load(directory).end_token_ids == ends


def test_the_licence_is_the_model_cards(directory: Path) -> None:
    (directory / "README.md").write_text("---\nlanguage:\n- en\nlicense: apache-2.0\ntags: []\n---\n# Tiny\n")
    assert load(directory).license == "apache-2.0"


def test_a_missing_shard_is_named(directory: Path) -> None:
    _, second = shard(directory)
    second.unlink()
    with pytest.raises(ExportError, match=r"model-00002-of-00002\.safetensors is missing: download it again"):
        load(directory)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_truncated_shard_is_named(directory: Path, kept: int) -> None:
    _, second = shard(directory)
    second.write_bytes(second.read_bytes()[:kept])
    with pytest.raises(ExportError, match=r"shard .*model-00002-of-00002\.safetensors .*: download it again"):
        load(directory)


def test_a_shard_without_a_tensor_of_the_index_is_named(directory: Path) -> None:
    first, _ = shard(directory)
    save_file({"other": np.zeros(1, np.float32)}, first)
    with pytest.raises(
        ExportError, match=r"shard .*model-00001-of-00002\.safetensors lacks model\..*: download it again"
    ):
        load(directory)


def test_a_missing_tensor_is_named(directory: Path) -> None:
    with pytest.raises(ExportError, match=r"the checkpoint lacks lm_head\.weight"):
        load(directory).tensors.load("lm_head.weight")


def test_weights_that_are_not_numbers_are_damage(directory: Path) -> None:
    save_file({"x": np.array([np.inf], np.float32)}, directory / "model.safetensors")
    with pytest.raises(ExportError, match="is damaged: x holds values that are not finite: download it again"):
        SafetensorsStore(directory).load("x")


def test_a_header_that_is_no_json_is_damage(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes((4).to_bytes(8, "little") + b"nope")
    with pytest.raises(ExportError, match="is damaged: its header cannot be read: download it again"):
        load(directory)


def test_integer_weights_are_refused(directory: Path) -> None:
    save_file({"x": np.array([1], np.int8)}, directory / "model.safetensors")
    with pytest.raises(ExportError, match="holds I8 weights, supported are BF16, F16, F32, F64"):
        SafetensorsStore(directory).load("x")


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", r"has no config\.json: give a checkpoint directory"),
        ("tokenizer.json", r"has no tokenizer\.json: write one with transformers, AutoTokenizer"),
        ("model.safetensors", r"has no model\.safetensors and no model\.safetensors\.index\.json: download"),
    ],
)
def test_a_missing_file_is_named(directory: Path, missing: str, message: str) -> None:
    (directory / missing).unlink()
    with pytest.raises(ExportError, match=message):
        load(directory)


def test_pickled_weights_are_refused_with_the_way_out(directory: Path) -> None:
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    with pytest.raises(ExportError, match=r"pytorch_model\.bin and no safetensors: convert it with transformers"):
        load(directory)


def test_a_quantized_checkpoint_is_refused(directory: Path) -> None:
    tiny.write_json(directory / "config.json", tiny.CONFIG | {"quantization_config": {"quant_method": "gptq"}})
    with pytest.raises(ExportError, match="is quantized by gptq: export from the unquantized checkpoint"):
        load(directory)


@pytest.mark.parametrize("content", ["{", "[]", '"x"'])
def test_a_damaged_config_is_named(directory: Path, content: str) -> None:
    (directory / "config.json").write_text(content)
    with pytest.raises(ExportError, match=r"config\.json .*: download it again"):
        load(directory)


def test_a_file_that_means_nothing_is_damage(directory: Path) -> None:
    tiny.write_json(directory / "tokenizer.json", tiny.TOKENIZER | {"added_tokens": [{"id": 1}]})
    with pytest.raises(ExportError, match=r"tiny-chat is damaged \('content'\): download it again"):
        load(directory)
