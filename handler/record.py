"""What one request leaves in the log: one line of JSON, of numbers and names, never text and never a key.

Lambda's side begins the record and writes it, since it knows the invocation from its first moment to its last; the
application finds it in the scope and fills in the rest. Where no server brings one, the application keeps its own.
"""

import json
import logging
import time
import traceback
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from handler.bill import Bill
from handler.metrics import FAULT, EmbeddedMetrics
from handler.scope import RECORD

if TYPE_CHECKING:
    from handler.engine.events import Usage

LOGGER = logging.getLogger("handler.access")

# A runaway recursion has a thousand frames.
MAX_FRAMES = 20
# Tokens that came all at once tell nothing of a speed. Seconds.
SHORTEST = 0.001


def new_request_id() -> str:
    return f"req_{uuid.uuid4().hex}"


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """Filled in as the request goes along; written once, at its end.

    `cold`: it is the first of its process, and waited for the initialisation, which took `init_ms`; `restored`: or for
    a snapshot. `bill` None: nobody knows what it costs; `tells_cost`: its caller is told.
    """

    request_id: str = field(default_factory=new_request_id)
    started: float = field(default_factory=time.monotonic)  # monotonic seconds
    bill: Bill | None = None
    tells_cost: bool = False
    cold: bool = False
    restored: bool = False
    init_ms: int | None = None
    aws_request_id: str | None = None
    trace_id: str | None = None
    source: str | None = None  # the kind of event
    key: str | None = None  # the name of the key, as its operator calls it
    method: str | None = None
    path: str | None = None
    status: int | None = None
    sent_bytes: int | None = None
    model: str | None = None
    stream: bool | None = None
    first_token: float | None = None  # monotonic seconds
    last_token: float | None = None  # monotonic seconds
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    finish_reason: str | None = None
    complete: bool = False  # the answer came to its end
    error: str | None = None  # the class of what went wrong
    stack: tuple[str, ...] = ()  # where a fault of ours arose, the innermost frame first
    disconnected: bool = False
    _told: float | None = None

    @staticmethod
    def of(scope: Mapping[str, Any]) -> "RequestRecord":
        """The record of the request that `scope` describes."""
        record: RequestRecord = scope[RECORD]
        return record

    def elapsed_ms(self) -> int:
        return round(self._elapsed() * 1000)

    def cost(self) -> float | None:
        """What the request has cost so far, in USD; None where nobody knows."""
        return None if self.bill is None else self.bill.of_request(self._elapsed() * 1000)

    def told_cost(self) -> float | None:
        """What the caller is told that it costs: the same amount wherever it is told. None: nothing is told."""
        if self.tells_cost and self._told is None:
            self._told = self.cost()
        return self._told

    def token(self) -> None:
        """One more text event has arrived: the count that is logged where no exact one will come."""
        self.last_token = time.monotonic()
        if self.first_token is None:
            self.first_token = self.last_token
        self.completion_tokens = (self.completion_tokens or 0) + 1

    def stopped(self, reason: str) -> None:
        """A choice has ended; where there are several, the last one's reason is what is logged."""
        self.finish_reason = reason

    def finished(self, usage: "Usage") -> None:
        self.complete = True
        self.last_token = time.monotonic()
        self.prompt_tokens = usage.prompt_tokens
        self.completion_tokens = usage.completion_tokens
        self.cached_tokens = usage.cached_tokens

    def refused(self, error: BaseException) -> None:
        """The caller is told what is wrong; the log, of what kind it is."""
        self.error = self.error or type(error).__qualname__

    def failed(self, error: BaseException) -> None:
        """A fault of ours. The first one counts: what follows from it is no news.

        Types and places are kept, but no message and no locals, which may quote a prompt.
        """
        if not self.stack:
            self.error = type(error).__qualname__
            frames = reversed(traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:])
            self.stack = tuple(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)

    @property
    def level(self) -> int:
        """ERROR where the fault is ours."""
        return logging.ERROR if self.stack or (self.status or 0) >= FAULT else logging.INFO

    def facts(self) -> dict[str, object]:
        """The line's members, without those of which nothing is known."""
        ttft = None if self.first_token is None else round((self.first_token - self.started) * 1000)
        init_cost = None if self.bill is None or self.init_ms is None else self.bill.of_init(self.init_ms)
        facts = {
            "request_id": self.request_id,
            "aws_request_id": self.aws_request_id,
            "trace_id": self.trace_id,
            "key": self.key,
            "source": self.source,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "ms": self.elapsed_ms(),
            "bytes": self.sent_bytes,
            "model": self.model,
            "stream": self.stream,
            "ttft_ms": ttft,
            "tokens_per_second": self._tokens_per_second(),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cached_tokens": self.cached_tokens,
            "finish_reason": self.finish_reason,
            "cold": self.cold or None,
            "restored": self.restored or None,
            "init_ms": self.init_ms,
            "cost_usd": self.cost(),
            "init_cost_usd": init_cost,
            "error": self.error,
            "stack": list(self.stack) or None,
            "disconnected": self.disconnected or None,
        }
        return {name: fact for name, fact in facts.items() if fact is not None}

    def _elapsed(self) -> float:
        return time.monotonic() - self.started

    def _tokens_per_second(self) -> float | None:
        """From the first token to the end of the last: the prompt's time is in the time to the first."""
        if self.first_token is None or self.last_token is None:
            return None
        tokens, seconds = (self.completion_tokens or 0) - 1, self.last_token - self.first_token
        return round(tokens / seconds, 2) if tokens > 0 and seconds > SHORTEST else None


class RequestLog:
    """Begins the records of a process and writes them, on the logger `handler.access`."""

    def __init__(
        self,
        *,
        bill: Bill | None = None,
        tells_cost: bool = False,
        metrics: EmbeddedMetrics | None = None,
        waits_for_init: bool = True,
    ) -> None:
        """`tells_cost`: callers are told what their requests cost. `waits_for_init`: the first request does; not where
        environments are provisioned ahead of it, or restored."""
        self._bill = bill
        self._tells_cost = tells_cost
        self._metrics = metrics
        self._cold = waits_for_init
        self._restored = False
        self._init_ms: int | None = None

    def ready(self, init_ms: int) -> None:
        """The process is initialised; it took `init_ms` milliseconds."""
        self._init_ms = init_ms

    def restored(self) -> None:
        """The process has woken up from a snapshot: its next request waited for that."""
        self._restored = self._cold = True
        self._init_ms = None

    def begin(self, *, aws_request_id: str | None = None, trace_id: str | None = None) -> RequestRecord:
        """The record of a request that has just come in."""
        record = RequestRecord(
            bill=self._bill,
            tells_cost=self._tells_cost,
            cold=self._cold,
            restored=self._restored,
            init_ms=self._init_ms if self._cold else None,
            aws_request_id=aws_request_id,
            trace_id=trace_id,
        )
        self._cold = self._restored = False
        return record

    def write(self, record: RequestRecord) -> None:
        """One line. Lambda filters lines by their `level` and takes their time from `timestamp`."""
        now = datetime.now(tz=UTC)
        facts = {
            "event": "request",
            "level": logging.getLevelName(record.level),
            "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            **record.facts(),
        }
        if self._metrics is not None:
            facts |= self._metrics.members(facts, epoch_ms=round(now.timestamp() * 1000))
        LOGGER.log(record.level, "%s", json.dumps(facts))
