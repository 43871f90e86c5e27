"""Speculation on and off: answers that copy their prompt, begin to, follow a `prediction`, or do none of it."""

import sys
from collections.abc import Callable, Iterator
from itertools import count

from tests.bench.client import Answer, chat, complete
from tests.bench.command import Missing, Options, Record, run
from tests.bench.names import COPIES, EDITED, FOLLOWS, GREEDY, LEAVES, SAMPLED, SPECULATION
from tests.bench.requests import STORIES, TO_THE_END, passage
from tests.bench.servers import UNCACHED, Server, serving
from tests.bench.variants import compare

Ask = Callable[[Server], Answer]

VARIANTS = dict(zip(SPECULATION, ({}, {"LLM_SPECULATION": "off"}), strict=True))
_TOKENS = 128
_PASSAGE = 160  # tokens
_EVERY = 12  # in an edited prediction, one word in this many is another one


def measure(options: Options, record: Record) -> None:
    """Tokens per second after the first one."""
    with serving({name: {**UNCACHED, **settings} for name, settings in VARIANTS.items()}) as (
        servers,
        failed,
    ):
        asked: list[tuple[str, Ask, int]] = [(COPIES, _copy, 5), (LEAVES, _begun, 5)]
        if servers:
            said = chat(servers[-1].port, STORIES[0], max_tokens=_TOKENS, **TO_THE_END).text
            asked += [(FOLLOWS, _following(said), 5), (EDITED, _following(edited(said)), 5)]
        asked += [(GREEDY, _Plain(0), 2 * len(STORIES)), (SAMPLED, _Plain(1), 2 * len(STORIES))]
        for metric, ask, rounds in asked:
            figures = {(metric, "tokens/s"): lambda answer: answer.decoded_per_second}
            compare(servers, failed, ask, figures, options, record, rounds=rounds)


def edited(text: str) -> str:
    """The text with every so many words replaced by another: as a file is that somebody has changed."""
    words = text.split(" ")
    return " ".join("something" if index % _EVERY == _EVERY - 1 else word for index, word in enumerate(words))


def _copy(server: Server) -> Answer:
    """Raises Missing where the model says something else than the passage."""
    once, answer = passage(_PASSAGE, _PASSAGE), _again(server, _PASSAGE)
    if answer.text not in once:
        raise Missing("the model here does not copy the passage to its end")
    return answer


def _begun(server: Server) -> Answer:
    """The book's beginning: the model knows it, and after some forty tokens tells it in its own way."""
    return _again(server, 0)


def _again(server: Server, start: int) -> Answer:
    """A passage twice, and the beginning of a third time."""
    once = passage(_PASSAGE, start)
    return complete(server.port, f"{once}\n\n{once}\n\n{passage(16, start)}", max_tokens=_TOKENS, **TO_THE_END)


def _following(prediction: str) -> Ask:
    def ask(server: Server) -> Answer:
        expected = {"type": "content", "content": prediction}
        return chat(server.port, STORIES[0], max_tokens=_TOKENS, prediction=expected, **TO_THE_END)

    return ask


class _Plain:
    """One story after the other, each server the same ones."""

    def __init__(self, temperature: int) -> None:
        self._temperature = temperature
        self._turns: dict[Server, Iterator[int]] = {}

    def __call__(self, server: Server) -> Answer:
        turn = next(self._turns.setdefault(server, count()))
        fields = {"temperature": self._temperature, "seed": turn, "ignore_eos": True, "max_tokens": _TOKENS}
        return chat(server.port, STORIES[turn % len(STORIES)], **fields)


if __name__ == "__main__":
    sys.exit(run("copying", measure))
