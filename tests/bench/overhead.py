"""Our own work for each streamed token: processor time, and time on the clock, of a server whose model takes none."""

import sys
from collections.abc import Callable

from tests.bench.client import Answer, chat
from tests.bench.command import Options, Record, run
from tests.bench.names import SERVER
from tests.bench.requests import SHORT
from tests.bench.servers import UNCACHED, Server, serving
from tests.bench.variants import compare

_TOKENS = 4000


def measure(options: Options, record: Record) -> None:
    """Microseconds for a token, sampling, decoding of text, JSON and HTTP included; what the client does is not."""
    tokens = 100 if options.quick else _TOKENS
    variants = {SERVER: UNCACHED}
    with serving(variants, module="tests.bench.instant") as (servers, failed):

        def ask(server: Server) -> tuple[float, Answer]:
            before = server.cpu_seconds()
            answer = chat(server.port, SHORT, max_tokens=tokens, temperature=0)
            return server.cpu_seconds() - before, answer

        figures: dict[tuple[str, str], Callable[[tuple[float, Answer]], float]] = {
            ("processor time", "µs"): lambda found: 1e6 * found[0] / found[1].tokens,
            ("clock", "µs"): lambda found: 1e6 / found[1].decoded_per_second,
        }
        compare(servers, failed, ask, figures, options, record, rounds=9)


if __name__ == "__main__":
    sys.exit(run("overhead", measure))
