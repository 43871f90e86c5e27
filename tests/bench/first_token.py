"""First token of a warm server: a prompt of 37 tokens over HTTP, nothing of it cached."""

import sys

from tests.bench.client import chat
from tests.bench.command import Options, Record, run
from tests.bench.names import FIRST_TOKEN, SERVER
from tests.bench.requests import SHORT
from tests.bench.servers import UNCACHED, serving
from tests.bench.variants import compare


def measure(options: Options, record: Record) -> None:
    """Milliseconds from the request to the first text."""
    with serving({SERVER: UNCACHED}) as (servers, failed):
        compare(
            servers,
            failed,
            lambda server: chat(server.port, SHORT, max_tokens=4, temperature=0),
            {(FIRST_TOKEN, "ms"): lambda answer: 1000 * answer.first},
            options,
            record,
            rounds=30,
        )


if __name__ == "__main__":
    sys.exit(run("first_token", measure))
