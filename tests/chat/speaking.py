"""Small models that call functions and think: a byte-level tokenizer with markers, and what it takes to serve them."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from handler.chat.service import ChatService, ServedModel
from handler.chat.template import ChatTemplate
from handler.engine.ports import Decoder
from handler.grammar.compiler import GrammarCompiler
from tests.chat import tool_templates


class MarkedTokenizer:
    """A token is a byte and its id is the byte's value. `control` tokens follow, of which the first ends an answer,
    then `added` tokens: markers that are text, as Qwen's `<tool_call>` is."""

    def __init__(self, control: Sequence[str], added: Sequence[str] = ()) -> None:
        self.control_tokens: Mapping[str, int] = {content: 256 + i for i, content in enumerate(control)}
        self._added = {content: 256 + len(control) + i for i, content in enumerate(added)}
        self._texts = {token_id: content.encode() for content, token_id in self._added.items()}
        self.vocab_size = 256 + len(control) + len(added)

    def encode(self, text: str, *, special: bool) -> list[int]:
        for content, token_id in {**(self.control_tokens if special else {}), **self._added}.items():
            if content in text:
                before, after = text.split(content, 1)
                return [*self.encode(before, special=special), token_id, *self.encode(after, special=special)]
        return list(text.encode())

    def token_bytes(self, token_id: int) -> bytes:
        return bytes([token_id]) if token_id < 256 else self._texts.get(token_id, b"")

    def is_special(self, token_id: int) -> bool:
        return token_id in self.control_tokens.values()

    def text(self, token_ids: Iterable[int]) -> str:
        """The readable form of a prompt: markers and control tokens in ⟦ ⟧, so that they differ from the same text."""
        names = {
            token_id: f"⟦{content}⟧".encode() for content, token_id in {**self.control_tokens, **self._added}.items()
        }
        return b"".join(names.get(i) or self.token_bytes(i) for i in token_ids).decode()


CHATML_CONTROL = ("<|im_end|>", "<|im_start|>")
MODELS: Mapping[str, tuple[str, MarkedTokenizer]] = {
    "qwen": (tool_templates.QWEN, MarkedTokenizer(CHATML_CONTROL, ("<tool_call>", "</tool_call>"))),
    "qwen-thinking": (
        tool_templates.QWEN_THINKING,
        MarkedTokenizer(CHATML_CONTROL, ("<tool_call>", "</tool_call>", "<think>", "</think>")),
    ),
    "llama3": (
        tool_templates.LLAMA3,
        MarkedTokenizer(("<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>")),
    ),
    "mistral": (
        tool_templates.MISTRAL,
        MarkedTokenizer(
            (
                *("</s>", "<s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"),
                *("[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
            )
        ),
    ),
    "revealing": (
        tool_templates.REVEALING,
        MarkedTokenizer(
            ("<｜end｜>", "<｜User｜>", "<｜Assistant｜>", "<｜calls｜>", "<｜calls▁end｜>", "<｜call｜>", "<｜sep｜>"),
            ("<think>", "</think>"),
        ),
    ),
    "smollm2": (tool_templates.SMOLLM2, MarkedTokenizer(CHATML_CONTROL)),
}
END = 256


def template_of(name: str) -> ChatTemplate:
    source, tokenizer = MODELS[name]
    end = next(iter(tokenizer.control_tokens))
    return ChatTemplate(source, {"bos_token": "", "eos_token": end})


def service_of(name: str, decoder: Decoder) -> ChatService:
    """The model's chat service over a decoder of its vocabulary."""
    _, tokenizer = MODELS[name]
    return ChatService(
        ServedModel(
            name=name,
            created=0,
            decoder=decoder,
            tokenizer=tokenizer,
            chat_template=template_of(name),
            end_token_ids=(END,),
            fingerprint="fp_0123456789",
            grammars=GrammarCompiler(tokenizer, vocab_size=tokenizer.vocab_size, end_token_ids=(END,)),
        )
    )


class RandomDecoder:
    """Says anything: random logits, in which text that can be read, the end and markers are likelier than the rest."""

    context_window = 100_000
    company_free = False
    prefill_chunk = 100_000

    def __init__(self, tokenizer: MarkedTokenizer, seed: int) -> None:
        self.vocab_size = tokenizer.vocab_size
        self._random = np.random.default_rng(seed)
        self._bias = np.zeros(self.vocab_size, np.float32)
        self._bias[list(b'"}]abc 12\n,')] = 3
        self._bias[list(b"{[")] = -1
        self._bias[256:] = 3
        self._held = 0

    def open(self) -> "RandomDecoder":
        return self

    @property
    def length(self) -> int:
        return self._held

    def forward(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
        self._held += len(token_ids)
        return self._random.normal(size=(logits_rows, self.vocab_size)).astype(np.float32) + self._bias

    def truncate(self, length: int) -> None:
        self._held = length
