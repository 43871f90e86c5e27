"""The second turn of a conversation: the time to its first text by the length of the history, cache on and off."""

import sys
from collections.abc import Callable, Mapping
from itertools import count

from tests.bench.client import Answer, stream
from tests.bench.command import Options, Record, run
from tests.bench.names import PREFIX_CACHE
from tests.bench.requests import passage
from tests.bench.servers import UNCACHED, Server, serving
from tests.bench.variants import compare

VARIANTS = dict(zip(PREFIX_CACHE, ({}, UNCACHED), strict=True))
_FIGURES: Mapping[tuple[str, str], Callable[[Answer], float]] = {
    ("second turn", "ms"): lambda answer: 1000 * answer.first,
    ("prefilled", "tokens"): lambda answer: answer.prompt_tokens - answer.cached_tokens,
}
LENGTHS = (100, 500, 1000, 1500)  # tokens of history, about


def measure(options: Options, record: Record) -> None:
    """Milliseconds to the first text of the second answer; each round is a conversation of its own."""
    numbers = count()
    with serving(VARIANTS) as (servers, failed):
        for length in LENGTHS[:1] if options.quick else LENGTHS:

            def second(server: Server, length: int = length) -> Answer:
                return second_turn(server, f"Conversation {next(numbers)}. {passage(length)}")

            compare(servers, failed, second, _FIGURES, options, record, rounds=3, at=length)


def second_turn(server: Server, history: str) -> Answer:
    """The second of two answers."""
    conversation = [{"role": "user", "content": f"{history}\n\nWhat is this about?"}]
    answered = {"max_tokens": 8, "temperature": 0}
    first = stream(server.port, "/v1/chat/completions", {"messages": conversation, **answered})
    conversation += [{"role": "assistant", "content": first.text}, {"role": "user", "content": "And who is in it?"}]
    return stream(server.port, "/v1/chat/completions", {"messages": conversation, **answered})


if __name__ == "__main__":
    sys.exit(run("second_turn", measure))
