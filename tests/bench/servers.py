"""The product's own server, as a user starts it; several that differ by one setting stand side by side."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model_export.recipes import DEFAULT
from tests.bench import weights
from tests.bench.command import Missing
from tests.bench.environments import last_words
from tests.e2e.processes import free_port, running

RECIPE = DEFAULT

# For benches of anything else: a prompt that comes again has to be computed again.
UNCACHED = {"LLM_PREFIX_CACHE_MB": "0"}


@dataclass(frozen=True, slots=True)
class Server:
    """`name` is how results call it."""

    name: str
    port: int
    pid: int

    def peak_bytes(self) -> int:
        """The largest resident size that the process has had."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def cpu_seconds(self) -> float:
        """What its threads have computed until now, to the nanosecond; threads that have ended are not in it."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(path.read_text().split()[0]) for path in tasks) / 1e9


@contextmanager
def serving(
    variants: Mapping[str, Mapping[str, str]], *, module: str = "handler"
) -> Iterator[tuple[list[Server], dict[str, Missing]]]:
    """A server for each name, with the settings (`LLM_…`) that it maps to; and why those that did not start did not."""
    found: list[Server] = []
    failed: dict[str, Missing] = {}
    model = str(weights.prepared(RECIPE))
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        for name, settings in variants.items():
            port = free_port()
            everything = {"LLM_MODEL": model, "LLM_PORT": str(port), "LLM_LOG_LEVEL": "warning", **settings}
            log = scratch / f"{len(found)}.log"
            try:
                process = stack.enter_context(
                    running(["-m", module], url=f"http://127.0.0.1:{port}/health", log=log, **everything)
                )
            except AssertionError:
                failed[name] = Missing(f"the server does not start: {last_words(log.read_text(), None)}")
                continue
            found.append(Server(name, port, process.pid))
        yield found, failed
