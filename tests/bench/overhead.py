"""Our own work for each streamed token: processor time, and time on the clock, of a server whose model takes none."""

import sys

from tests.bench.client import chat
from tests.bench.command import Options, Record, run
from tests.bench.names import SERVER
from tests.bench.requests import SHORT
from tests.bench.servers import UNCACHED, Server, serving
from tests.bench.variants import compare

_TOKENS = 4000


def measure(options: Options, record: Record) -> None:
    """Microseconds for a token, sampling, decoding of text, JSON and HTTP included; what the client does is not."""
    tokens = 100 if options.quick else _TOKENS
    variants = {SERVER: {**UNCACHED, "LLM_SPECULATION": "off"}}
    with serving(variants, module="tests.bench.instant") as (servers, failed):

        def processor(server: Server) -> float:
            before = server.cpu_seconds()
            answer = chat(server.port, SHORT, max_tokens=tokens, temperature=0)
            return 1e6 * (server.cpu_seconds() - before) / answer.tokens

        def clock(server: Server) -> float:
            return 1e6 / chat(server.port, SHORT, max_tokens=tokens, temperature=0).decoded_per_second

        compare(servers, failed, "processor time", "µs", processor, options, record, rounds=9)
        compare(servers, failed, "clock", "µs", clock, options, record, rounds=9)


if __name__ == "__main__":
    sys.exit(run("overhead", measure))
