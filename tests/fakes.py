"""Small stand-ins shaped by the Protocols of handler.engine.ports, shared by every area's tests."""

import copy
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from handler.chat.service import ChatService, ServedModel
from handler.chat.template import ChatTemplate
from handler.engine.ports import KVArrays
from handler.engine.prefix_cache import PrefixCache
from handler.engine.step import Step
from handler.grammar.compiler import GrammarCompiler
from handler.keys import Key, KeyRing, StaticKeys, digest_of

T = TypeVar("T")

IM_START, IM_END, END_OF_TEXT = 256, 257, 258
CONTROL_TOKENS = {"<|im_start|>": IM_START, "<|im_end|>": IM_END, "<|endoftext|>": END_OF_TEXT}
VOCAB_SIZE = 256 + len(CONTROL_TOKENS)
# Of steps of 1, 2, … tokens, in steps of one: like those of a small model on two cores.
STEP_COSTS = (1.0, 1.14, 1.36, 1.64, 1.96, 2.38, 2.67, 2.83)
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


class FakeTokenizer:
    """Byte level: a token is a byte and its id is the byte's value; three control tokens follow."""

    vocab_size = VOCAB_SIZE
    control_tokens: Mapping[str, int] = CONTROL_TOKENS

    def encode(self, text: str, *, special: bool) -> list[int]:
        for content, token_id in CONTROL_TOKENS.items():
            if special and content in text:
                before, after = text.split(content, 1)
                return [*self.encode(before, special=True), token_id, *self.encode(after, special=True)]
        return list(text.encode())

    def token_bytes(self, token_id: int) -> bytes:
        return bytes([token_id]) if 0 <= token_id < 256 else b""

    def piece(self, token_id: int) -> str:
        names = {token_id: content for content, token_id in CONTROL_TOKENS.items()}
        return names.get(token_id) or f"<0x{token_id:02X}>"

    def is_special(self, token_id: int) -> bool:
        return 256 <= token_id < VOCAB_SIZE

    def text(self, token_ids: Iterable[int]) -> str:
        """The readable form of a prompt: control tokens by name in ⟦ ⟧, so that they differ from the same text."""
        names = {token_id: f"⟦{content[2:-2]}⟧".encode() for content, token_id in CONTROL_TOKENS.items()}
        return b"".join(names.get(i) or self.token_bytes(i) for i in token_ids).decode()


@dataclass
class ScriptedDecoder:
    """Answers every prompt with `script`: text (its bytes, then `<|im_end|>`), or token ids, or whole logit rows given
    as {id: logit} (0 elsewhere). After the script, `<|im_end|>` for ever.

    A prompt is over with the first forward call of fewer than `prefill_chunk` tokens. Counters add up over all
    sessions. `step_seconds` sleeps in each forward call; `fail_at` raises RuntimeError in the n-th decode step (0: the
    first prefill).
    """

    script: str | Sequence[int | Mapping[int, float]] = "Hello."
    context_window: int = 4096
    company_free: bool = False
    prefill_chunk: int = 4096
    vocab_size: int = VOCAB_SIZE
    step_seconds: float = 0.0
    fail_at: int | None = None
    forward_calls: int = 0
    prompts: list[list[int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> "ScriptedSession":
        return ScriptedSession(self)

    def restore(self, token_ids: Sequence[int], held: KVArrays) -> "ScriptedSession":
        """It has the rest of a prompt before it, and the whole script."""
        assert held[0].tolist() == list(token_ids)
        session = ScriptedSession(self)
        session.token_ids = list(token_ids)
        session.begin(list(token_ids))
        return session

    def advance(self, sessions: Sequence["ScriptedSession"], token_ids: Sequence[int]) -> NDArray[np.float32]:
        self.call()
        return np.concatenate([s.append([i]) for s, i in zip(sessions, token_ids, strict=True)])

    def call(self) -> None:
        """One forward call, of however many sessions."""
        with self.lock:
            self.forward_calls += 1
        if self.step_seconds:
            time.sleep(self.step_seconds)

    def row(self, step: int) -> Mapping[int, float]:
        """The logits of the step-th generated token (from 0)."""
        rows = list(self.script.encode()) if isinstance(self.script, str) else self.script
        row = rows[step] if step < len(rows) else IM_END
        return {row: 100.0} if isinstance(row, int) else row


class ScriptedSession:
    def __init__(self, decoder: ScriptedDecoder) -> None:
        self._decoder = decoder
        self.token_ids: list[int] = []
        self._step = 0
        self._prompt: list[int] = []
        self._prompt_is_over = False
        with decoder.lock:
            decoder.prompts.append(self._prompt)

    @property
    def length(self) -> int:
        return len(self.token_ids)

    @property
    def exact_length(self) -> int:
        return min(self.length, len(self._prompt))

    @property
    def nbytes(self) -> int:
        return self.length

    def forward(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
        self._decoder.call()
        return self.append(token_ids, logits_rows)

    def append(self, token_ids: Sequence[int] | NDArray[np.int64], logits_rows: int = 1) -> NDArray[np.float32]:
        decoder = self._decoder
        if self.length + len(token_ids) > decoder.context_window:
            raise ValueError("the context window is full")
        if self._prompt_is_over:
            self._step += len(token_ids)
        else:
            self._prompt.extend(int(i) for i in token_ids)
            self._prompt_is_over = len(token_ids) < decoder.prefill_chunk
        self.token_ids.extend(int(i) for i in token_ids)
        if decoder.fail_at == self._step:
            raise RuntimeError("scripted failure")
        logits = np.zeros((logits_rows, decoder.vocab_size), np.float32)
        for row, step in enumerate(range(self._step - logits_rows + 1, self._step + 1)):
            for token_id, logit in decoder.row(step).items() if step >= 0 else ():
                logits[row, token_id] = logit
        return logits

    def truncate(self, length: int) -> None:
        if length > self.length:
            raise ValueError("longer than what is held")
        del self.token_ids[length:]
        self._step = max(0, length - len(self._prompt))
        if length <= len(self._prompt):
            self.begin(self._prompt[:length])

    def held(self, length: int) -> KVArrays:
        return [np.array(self.token_ids[:length])]

    def rest(self) -> None:
        """It shares nothing."""

    def begin(self, prompt: list[int]) -> None:
        self._step = 0
        self._prompt = prompt
        self._prompt_is_over = False

    def fork(self, count: int) -> "list[ScriptedSession]":
        """Copies, which go on with the same script."""
        copies = [copy.copy(self) for _ in range(count)]
        for fork in copies:
            fork.token_ids = self.token_ids.copy()
        return copies


def told(events: Iterable[T]) -> list[T]:
    """The events without the Steps."""
    return [event for event in events if not isinstance(event, Step)]


def accepting(*keys: str) -> StaticKeys:
    """Keys named key-1, key-2, …"""
    digests = enumerate((digest_of(key.encode()) for key in keys), start=1)
    return StaticKeys(KeyRing(Key(name=f"key-{number}", digests=(digest,)) for number, digest in digests))


def chat_service(
    decoder: ScriptedDecoder | None = None,
    *,
    name: str = "fake-model",
    template: str | None = CHATML,
    prefix_budget: int | None = None,
) -> ChatService:
    """A chat service over the fakes, with a ChatML template. `prefix_budget`: of a prefix cache, in tokens."""
    decoder = decoder or ScriptedDecoder()
    return ChatService(
        ServedModel(
            name=name,
            created=1_700_000_000,
            decoder=decoder,
            tokenizer=FakeTokenizer(),
            chat_template=None if template is None else ChatTemplate(template, {"eos_token": "<|im_end|>"}),
            end_token_ids=(IM_END, END_OF_TEXT),
            fingerprint="fp_0123456789",
            grammars=GrammarCompiler(FakeTokenizer(), vocab_size=VOCAB_SIZE, end_token_ids=(IM_END, END_OF_TEXT)),
            prefixes=None if prefix_budget is None else PrefixCache(decoder, budget=prefix_budget),
            step_costs=STEP_COSTS,
        )
    )
