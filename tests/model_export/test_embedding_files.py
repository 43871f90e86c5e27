"""What makes a directory an embedding model, and what its files say of pooling, length and window."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from model_export.checkpoint import SentencePooling
from model_export.errors import ExportError
from model_export.sources.embedding_files import lower_cased, read_embedding_files

BERT = {"architectures": ["BertModel"], "model_type": "bert", "max_position_embeddings": 512}
TRANSFORMER, POOLING, NORMALIZE, DENSE = (
    {"path": path, "type": f"sentence_transformers.models.{kind}"}
    for path, kind in (
        ("", "Transformer"),
        ("1_Pooling", "Pooling"),
        ("2_Normalize", "Normalize"),
        ("2_Dense", "Dense"),
    )
)


def write(directory: Path, **files: Any) -> Path:
    """Files by their names without `.json`; `pooling` is that of `1_Pooling`."""
    names = {"pooling": "1_Pooling/config"}
    for name, content in files.items():
        path = directory / f"{names.get(name, name)}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return directory


@pytest.mark.parametrize(
    ("flags", "pooling"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False, "word_embedding_dimension": 8}, "mean"),
        ({"pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode_lasttoken": True}, "last"),
    ],
)
@pytest.mark.parametrize("normalize", [True, False])
def test_a_chain_of_modules_is_read(tmp_path: Path, flags: dict[str, Any], pooling: Any, normalize: bool) -> None:
    chain = [TRANSFORMER, POOLING, NORMALIZE] if normalize else [TRANSFORMER, POOLING]
    directory = write(tmp_path, modules=chain, pooling=flags, sentence_bert_config={"max_seq_length": 256})
    expected = SentencePooling(pooling=pooling, normalize=normalize, window=256)
    assert read_embedding_files(directory, BERT) == expected


def test_a_decoder_with_a_chain_of_modules_embeds(tmp_path: Path) -> None:
    config = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "max_position_embeddings": 32768}
    write(tmp_path, modules=[TRANSFORMER, POOLING, NORMALIZE], pooling={"pooling_mode_lasttoken": True})
    assert read_embedding_files(tmp_path, config) == SentencePooling(pooling="last", normalize=True, window=32768)


@pytest.mark.parametrize("architecture", ["BertModel", "BertForMaskedLM", "BertForPreTraining"])
def test_a_plain_encoder_is_pooled_by_the_mean(tmp_path: Path, architecture: str) -> None:
    expected = SentencePooling(pooling="mean", normalize=False, window=512)
    assert read_embedding_files(tmp_path, BERT | {"architectures": [architecture]}) == expected


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "GPT2LMHeadModel", "BertForSequenceClassification"])
def test_what_is_no_encoder_alone_embeds_nothing(tmp_path: Path, architecture: str) -> None:
    assert read_embedding_files(tmp_path, BERT | {"architectures": [architecture]}) is None


def test_positions_before_the_first_are_not_in_the_window(tmp_path: Path) -> None:
    """RoBERTa's first token is at position 2: its table of 514 holds 512."""
    config = BERT | {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    found = read_embedding_files(tmp_path, config)
    assert found is not None
    assert found.window == 512


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"modules": [TRANSFORMER, POOLING, DENSE]}, "a chain of Transformer, Pooling, Dense; supported are"),
        ({"modules": [{**TRANSFORMER, "path": "0"}, POOLING]}, "keeps the Transformer in 0"),
        ({"pooling": {"pooling_mode_max_tokens": True}}, "pools by max_tokens; supported is one of mean_tokens"),
        (
            {"pooling": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}},
            "pools by cls_token and mean_tokens",
        ),
        ({"pooling": {}}, "pools by nothing"),
        ({"config_sentence_transformers": {"default_prompt_name": "query"}}, "puts a prompt before each text"),
    ],
    ids=["another module", "another place", "another pooling", "two poolings", "no pooling", "a prompt"],
)
def test_what_would_give_other_vectors_is_refused(tmp_path: Path, files: dict[str, Any], says: str) -> None:
    write(tmp_path, **{"modules": [TRANSFORMER, POOLING], "pooling": {"pooling_mode_cls_token": True}} | files)
    with pytest.raises(ExportError, match=says):
        read_embedding_files(tmp_path, BERT)


def test_lower_case_becomes_a_step_of_the_tokenizer() -> None:
    plain = json.dumps(
        {
            "version": "1.0",
            "added_tokens": [],
            "normalizer": None,
            "pre_tokenizer": {"type": "Whitespace"},
            "model": {"type": "WordLevel", "vocab": {"?": 0, "paris": 1}, "unk_token": "?"},
        }
    )
    assert Tokenizer.from_str(plain).encode("Paris").ids == [0]
    assert Tokenizer.from_str(lower_cased(plain)).encode("Paris").ids == [1]
