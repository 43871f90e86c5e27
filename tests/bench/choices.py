"""n answers to one prompt: the time of a request with n = 4 beside that with n = 1."""

import sys

from tests.bench.client import Answer, chat
from tests.bench.command import Options, Record, run
from tests.bench.names import CHOICES, SERVER
from tests.bench.requests import STORIES
from tests.bench.servers import UNCACHED, Server, serving
from tests.bench.variants import compare

_TOKENS = 64


def measure(options: Options, record: Record) -> None:
    """Seconds of the whole request, 64 sampled tokens for each choice."""
    with serving({SERVER: UNCACHED}) as (servers, failed):
        # One list for both, so that they take turns.
        asked = [Server(name, server.port, server.pid) for server in servers for name in CHOICES]
        compare(asked, failed, _ask, {("choices", "s"): lambda answer: answer.total}, options, record, rounds=5)


def _ask(server: Server) -> Answer:
    n = int(server.name.removeprefix("n = "))
    fields = {"n": n, "max_tokens": _TOKENS, "temperature": 1, "seed": 1, "ignore_eos": True}
    return chat(server.port, STORIES[0], **fields)


if __name__ == "__main__":
    sys.exit(run("choices", measure))
