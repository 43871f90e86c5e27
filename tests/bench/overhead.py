"""Our own work for each streamed token: the server's processor time over a model that computes nothing.

The engine, which chooses tokens and decodes their text, is measured alone over the same model, in turns: the difference
is what stands above it, from its events to bytes on the socket. Processor time, because that is what the model is
deprived of; the two on the clock would differ by less than they vary.
"""

import sys
import time

from handler.chat.service import ServedModel
from handler.engine.decode import generate
from handler.engine.events import Finished
from handler.engine.params import GenerationParams
from handler.settings import Settings
from tests.bench import weights
from tests.bench.client import chat
from tests.bench.command import Options, Record, run
from tests.bench.instant import instant_model
from tests.bench.names import ENGINE, SERVER
from tests.bench.requests import SHORT
from tests.bench.servers import RECIPE, UNCACHED, Server, serving

_TOKENS = 1000
_ROUNDS = 7


def measure(options: Options, record: Record) -> None:
    """Microseconds for a token."""
    tokens = 100 if options.quick else _TOKENS
    with serving({SERVER: UNCACHED}, module="tests.bench.instant") as (servers, failed):
        for reason in failed.values():
            record.missing(SERVER, "above the engine", "µs", reason, recipe=RECIPE)
        for server in servers:
            model = instant_model(Settings(model=weights.prepared(RECIPE)))
            pairs = [(_alone(model, tokens), _served(server, tokens)) for _ in range(1 + options.rounds(_ROUNDS))][1:]
            record.samples(ENGINE, "engine", [alone for alone, _ in pairs], "µs", recipe=RECIPE)
            record.samples(SERVER, "everything", [served for _, served in pairs], "µs", recipe=RECIPE)
            above = [served - alone for alone, served in pairs]
            record.samples(SERVER, "above the engine", above, "µs", recipe=RECIPE)


def _alone(model: ServedModel, tokens: int) -> float:
    params = GenerationParams(temperature=0, max_tokens=tokens)
    before = time.thread_time()
    events = generate(model.decoder, model.tokenizer, [1], params, (), should_stop=lambda: False)
    usage = next(event.usage for event in events if isinstance(event, Finished))
    return 1e6 * (time.thread_time() - before) / usage.completion_tokens


def _served(server: Server, tokens: int) -> float:
    before = server.cpu_seconds()
    answer = chat(server.port, SHORT, max_tokens=tokens, temperature=0)
    return 1e6 * (server.cpu_seconds() - before) / answer.tokens


if __name__ == "__main__":
    sys.exit(run("overhead", measure))
