"""The exported tokenizer and chat template against transformers' own reading of the same checkpoint."""

from pathlib import Path
from typing import Any

import pytest

from handler.chat.template import ChatTemplate
from handler.tokenizer import HFTokenizer
from model_export.checkpoint import Checkpoint
from model_export.checkpoint_directory import write_checkpoint_directory
from model_export.progress import Stopwatch

TEXTS = [
    "Hello, world!",
    "The year 2024, 3.14159 and 1,000,000.",
    "def f(x):\n\treturn  x**2\n\n\n# done",
    "naïve café — “quotes” … 日本語 и русский 🦊👩‍👩‍👧",
    "  leading, trailing  ",
    "<|im_start|>user\nhi<|im_end|>\n",
    "",
    "\r\n\x00\u200b",
]
CONVERSATIONS: dict[str, list[dict[str, str]]] = {
    "a question": [{"role": "user", "content": "hi"}],
    "a system message": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
    "turns": [
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": " c "},
        {"role": "user", "content": "{{ d }} <b>"},
    ],
}


@pytest.fixture(scope="module")
def transformers_tokenizer(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    directory: Path = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint_directory(checkpoint, directory, Stopwatch())
    return AutoTokenizer.from_pretrained(directory)


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_transformers(transformers_tokenizer: Any, checkpoint: Checkpoint, text: str) -> None:
    tokenizer = HFTokenizer.from_json(checkpoint.tokenizer_json)
    ids = tokenizer.encode(text, special=True)
    assert ids == transformers_tokenizer.encode(text, add_special_tokens=False)
    plain = tokenizer.encode(text, special=False)
    assert plain == transformers_tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert b"".join(map(tokenizer.token_bytes, plain)).decode() == transformers_tokenizer.decode(plain) == text


@pytest.mark.parametrize("add_generation_prompt", [True, False], ids=["to be answered", "as it is"])
@pytest.mark.parametrize("messages", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_prompts_are_those_of_transformers(
    transformers_tokenizer: Any,
    checkpoint: Checkpoint,
    messages: list[dict[str, str]],
    add_generation_prompt: bool,
) -> None:
    assert checkpoint.chat_template is not None
    template = ChatTemplate(checkpoint.chat_template, checkpoint.special_tokens)
    assert template.render(
        messages, add_generation_prompt=add_generation_prompt
    ) == transformers_tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=add_generation_prompt
    )
