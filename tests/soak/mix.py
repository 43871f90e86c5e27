"""What a soak asks: an endless, repeatable mix of what clients send, valid and not. Pure.

Answers are short, so that there are many; everything that a request makes the server allocate is in the mix: prompts
of many lengths, known beginnings, choices, grammars, calls, log-probabilities, streams, and clients that leave.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

MODEL = "SmolLM2-135M-Instruct"
CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
WORDS = [
    "river",
    "stone",
    "paper",
    "lantern",
    "quiet",
    "seven",
    "copper",
    "window",
    "garden",
    "thunder",
    "violet",
    "market",
    "salt",
    "engine",
    "north",
]
SYSTEM = {"role": "system", "content": "You are a careful assistant who answers briefly. " * 4}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome", "Oslo"]}, "big": {"type": "boolean"}},
    "required": ["city", "big"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": SCHEMA, "strict": True}}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request. `status`: what it must be answered. `leaves`: the client goes after the first bytes."""

    kind: str
    path: str
    body: Json | bytes | None
    status: int = 200
    leaves: bool = False
    key: bool = True

    @property
    def streams(self) -> bool:
        return isinstance(self.body, dict) and bool(self.body.get("stream"))


def requests(seed: int) -> Iterator[Asked]:
    """The mix. The same for the same seed."""
    chance = random.Random(seed)
    kinds = [kind for kind, share in SHARES.items() for _ in range(share)]
    while True:
        yield chance.choice(kinds)(chance)


def _messages(chance: random.Random) -> list[Json]:
    text = " ".join(chance.choices(WORDS, k=chance.choice((3, 3, 3, 10, 40))))
    return [{"role": "user", "content": text}]


def _chat(chance: random.Random, **fields: Any) -> Json:
    body: Json = {"model": MODEL, "messages": _messages(chance), "max_completion_tokens": chance.randint(1, 8)}
    if chance.random() < 0.5:
        body["seed"] = chance.randrange(1000)
    if chance.random() < 0.3:
        body["temperature"] = 0
    return body | fields


def _streamed(chance: random.Random, **fields: Any) -> Json:
    return _chat(chance, stream=True, stream_options={"include_usage": True}, **fields)


def whole(chance: random.Random) -> Asked:
    return Asked(kind="chat", path=CHAT, body=_chat(chance))


def streamed(chance: random.Random) -> Asked:
    return Asked(kind="chat, streamed", path=CHAT, body=_streamed(chance))


def known(chance: random.Random) -> Asked:
    body = _streamed(chance)
    return Asked(kind="known beginning", path=CHAT, body=body | {"messages": [SYSTEM, *body["messages"]]})


def long(chance: random.Random) -> Asked:
    prompt = " ".join(chance.choices(WORDS, k=250))
    return Asked(
        kind="long prompt", path=COMPLETIONS, body={"model": MODEL, "prompt": prompt, "max_tokens": 2, "stream": True}
    )


def choices(chance: random.Random) -> Asked:
    return Asked(
        kind="choices", path=CHAT, body=_streamed(chance, n=chance.randint(2, 4), logprobs=True, top_logprobs=3)
    )


def formatted(chance: random.Random) -> Asked:
    fields = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}}
    return Asked(kind="JSON schema", path=CHAT, body=_streamed(chance, **fields) | {"max_completion_tokens": 24})


def new_grammar(chance: random.Random) -> Asked:
    values = ["".join(chance.choices("abcdef", k=6)) for _ in range(20)]
    return Asked(kind="new grammar", path=CHAT, body=_chat(chance, structured_outputs={"choice": values}))


def called(chance: random.Random) -> Asked:
    fields = {"tools": [TOOL], "tool_choice": "required", "max_completion_tokens": 40}
    return Asked(kind="call", path=CHAT, body=_streamed(chance) | fields)


def continued(chance: random.Random) -> Asked:
    body = {"model": MODEL, "prompt": ["Once upon", "a time"], "max_tokens": 3, "echo": True, "logprobs": 2}
    return Asked(kind="completions", path=COMPLETIONS, body=body | {"seed": chance.randrange(99)})


def responded(chance: random.Random) -> Asked:
    body = {"model": MODEL, "input": _messages(chance), "max_output_tokens": 5, "stream": chance.random() < 0.5}
    return Asked(kind="responses", path=RESPONSES, body=body)


def tokenized(chance: random.Random) -> Asked:
    return Asked(kind="tokenize", path="/tokenize", body={"model": MODEL, "messages": _messages(chance)})


def listed(_chance: random.Random) -> Asked:
    return Asked(kind="models", path="/v1/models", body=None)


def wrong(chance: random.Random) -> Asked:
    body = chance.choice((b"{", b"[]", _chat(chance, temperature=3), _chat(chance, nonsense=1), {"model": MODEL}))
    return Asked(kind="error 400", path=CHAT, body=body, status=400)


def stranger(chance: random.Random) -> Asked:
    return Asked(kind="error 401", path=CHAT, body=_chat(chance), status=401, key=False)


def nowhere(chance: random.Random) -> Asked:
    return Asked(kind="error 404", path=chance.choice(("/v1/nothing", "/v1/models/none")), body=None, status=404)


def leaving(chance: random.Random) -> Asked:
    return Asked(kind="client leaves", path=CHAT, body=_streamed(chance) | {"max_completion_tokens": 200}, leaves=True)


# Of a hundred requests.
SHARES: dict[Callable[[random.Random], Asked], int] = {
    whole: 20,
    streamed: 24,
    known: 10,
    long: 2,
    choices: 4,
    formatted: 4,
    new_grammar: 3,
    called: 3,
    continued: 4,
    responded: 6,
    tokenized: 4,
    listed: 2,
    wrong: 6,
    stranger: 2,
    nowhere: 2,
    leaving: 4,
}
