"""An embedding model's tokenizer: start and end tokens, whole texts, and control tokens that are text."""

from pathlib import Path

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, processors

from handler.embedding_tokenizer import EmbeddingTokenizer
from handler.errors import ArtifactError

VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5, "[": 6, "]": 7, "SEP": 8}


def tokenizer(*, framed: bool = True) -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    if framed:
        made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.enable_truncation(4)
    made.enable_padding(length=16)
    return made


def test_start_and_end_are_there_and_nothing_is_cut_or_filled() -> None:
    assert EmbeddingTokenizer(tokenizer()).encode("a b a b a b") == [2, 4, 5, 4, 5, 4, 5, 3]


def test_a_control_token_in_a_text_is_text() -> None:
    assert EmbeddingTokenizer(tokenizer()).encode("a [SEP] b") == [2, 4, 6, 8, 7, 5, 3]


@pytest.mark.parametrize("token_ids", [[4, 5], [2, 4, 5, 3], [2, 4, 5], [4, 5, 3]])
def test_tokens_are_completed_by_what_they_lack(token_ids: list[int]) -> None:
    assert EmbeddingTokenizer(tokenizer()).complete(token_ids) == [2, 4, 5, 3]


def test_a_tokenizer_without_start_and_end_puts_none() -> None:
    plain = EmbeddingTokenizer(tokenizer(framed=False))
    assert (plain.encode("a b"), plain.complete([4, 5])) == ([4, 5], [4, 5])


@pytest.mark.parametrize(("content", "says"), [(None, "is missing"), ("{}", "is not a tokenizer")])
def test_a_file_that_is_none_says_so(tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ArtifactError, match=says):
        EmbeddingTokenizer.from_file(path)
