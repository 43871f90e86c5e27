"""Facts about writing a checkpoint as a directory: what is read back is what was written."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from handler.manifest import Source
from model_export.checkpoint_directory import write_checkpoint_directory
from model_export.progress import Stopwatch
from model_export.sources import load_checkpoint
from tests.model_export import tiny


@pytest.mark.parametrize(("shard_bytes", "files"), [(10**9, ["model.safetensors"]), (30_000, None)])
def test_a_gguf_file_survives_the_way_through_a_directory(
    tmp_path: Path, shard_bytes: int, files: list[str] | None
) -> None:
    path = tiny.write_gguf(tmp_path / "tiny.gguf", tiny.llama_gguf_tensors(tiny.weights()))
    original = load_checkpoint(str(path), Stopwatch())
    directory = tmp_path / "out"
    directory.mkdir()
    write_checkpoint_directory(original, directory, Stopwatch(), shard_bytes=shard_bytes)
    again = load_checkpoint(str(directory), Stopwatch())
    same = dataclasses.replace(again, source=original.source, name=original.name, tensors=original.tensors)
    assert json.loads(same.tokenizer_json) == json.loads(original.tokenizer_json)
    assert dataclasses.replace(same, tokenizer_json=original.tokenizer_json) == original
    assert again.source == Source(kind="directory", id="out")
    assert set(again.tensors) == set(original.tensors)
    for name in original.tensors:
        np.testing.assert_array_equal(again.tensors.load(name), original.tensors.load(name))
    shards = sorted(file.name for file in directory.glob("*.safetensors"))
    if files is None:
        assert shards == [f"model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)]
        assert len(shards) > 1
        assert (directory / "model.safetensors.index.json").exists()
    else:
        assert shards == files


def test_transformers_reads_the_same_tokenizer(tmp_path: Path) -> None:
    original = load_checkpoint("default", Stopwatch())
    tensors = load_checkpoint(str(tiny.write_directory(tmp_path / "tiny", tiny.weights())), Stopwatch()).tensors
    directory = tmp_path / "out"
    directory.mkdir()
    write_checkpoint_directory(dataclasses.replace(original, tensors=tensors), directory, Stopwatch())
    tokenizer = AutoTokenizer.from_pretrained(directory)
    assert tokenizer("Hello world 12")["input_ids"] == [19556, 905, 216, 33, 34]
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    chat = [{"role": "user", "content": "Hi there"}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True)
    assert ids[-11:] == [1, 4093, 198, 26843, 665, 2, 198, 1, 520, 9531, 198]
