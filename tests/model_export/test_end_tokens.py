"""Facts about end tokens: every one that a file declares, and the markers that every chat model knows."""

import json

import pytest

from model_export.end_tokens import end_token_ids
from model_export.errors import ExportError


def tokenizer(*tokens: tuple[int, str, bool]) -> str:
    return json.dumps({"added_tokens": [{"id": i, "content": text, "special": special} for i, text, special in tokens]})


def test_declared_ids_come_first_and_once() -> None:
    declared = ([7, 5], 5, None, 9)
    assert end_token_ids(declared, tokenizer((9, "<|im_end|>", True), (3, "<|eot_id|>", True))) == (7, 5, 9, 3)


def test_a_marker_that_is_plain_text_does_not_end() -> None:
    assert end_token_ids([1], tokenizer((2, "</s>", False), (3, "<tool>", True))) == (1,)


def test_zero_is_an_id() -> None:
    assert end_token_ids([0], tokenizer()) == (0,)


def test_a_model_that_never_ends_is_refused() -> None:
    with pytest.raises(ExportError, match="names no end token: set eos_token_id"):
        end_token_ids([None], tokenizer())
