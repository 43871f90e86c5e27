"""What one request leaves in the log: numbers and names, never text and never a key."""

import json
import logging
import time
from dataclasses import dataclass, field

from starlette.types import Scope

from handler.chat.deltas import ChatFinishReason
from handler.engine.events import Usage

LOGGER = logging.getLogger("handler.access")
SCOPE_KEY = "handler.record"


@dataclass(slots=True)
class RequestRecord:
    """Filled in as the request goes along; written once, at its end."""

    request_id: str
    method: str
    path: str
    started: float = field(default_factory=time.monotonic)  # monotonic seconds
    status: int | None = None
    key: str | None = None  # the name of the key that it came with
    model: str | None = None
    stream: bool | None = None
    first_token: float | None = None  # monotonic seconds
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    finish_reason: ChatFinishReason | None = None
    complete: bool = False  # the answer came to its end
    error: str | None = None  # the class of what went wrong after the first byte
    disconnected: bool = False

    @staticmethod
    def of(scope: Scope) -> "RequestRecord":
        """The record of the request that `scope` describes."""
        record: RequestRecord = scope[SCOPE_KEY]
        return record

    def elapsed_ms(self) -> int:
        return round((time.monotonic() - self.started) * 1000)

    def token(self) -> None:
        """One more text event has arrived: the count that is logged where no exact one will come."""
        if self.first_token is None:
            self.first_token = time.monotonic()
        self.completion_tokens = (self.completion_tokens or 0) + 1

    def stopped(self, reason: ChatFinishReason) -> None:
        """A choice has ended; where there are several, the last one's reason is what is logged."""
        self.finish_reason = reason

    def finished(self, usage: Usage) -> None:
        self.complete = True
        self.prompt_tokens = usage.prompt_tokens
        self.completion_tokens = usage.completion_tokens
        self.cached_tokens = usage.cached_tokens

    def write(self) -> None:
        """One line of JSON on the logger `handler.access`."""
        ttft = None if self.first_token is None else round((self.first_token - self.started) * 1000)
        facts = {
            "request_id": self.request_id,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "ms": self.elapsed_ms(),
            "key": self.key,
            "model": self.model,
            "stream": self.stream,
            "ttft_ms": ttft,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cached_tokens": self.cached_tokens,
            "finish_reason": self.finish_reason,
            "error": self.error,
            "disconnected": self.disconnected or None,
        }
        LOGGER.info("%s", json.dumps({name: fact for name, fact in facts.items() if fact is not None}))
