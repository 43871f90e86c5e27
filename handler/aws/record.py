"""The one log line of an invocation: JSON, and nothing of what was asked or answered but its size."""

import json
import logging
import time
from dataclasses import asdict, dataclass, field

from handler.aws.events import Request
from handler.aws.failures import Fault

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class InvocationRecord:
    """Filled in while the invocation runs; `write()` once at its end."""

    request_id: str
    request: Request | None = None
    started: float = field(default_factory=time.monotonic)

    def write(self, *, outcome: str, status: int, sent_bytes: int, fault: Fault | None = None) -> None:
        """`outcome`: complete, gone (the reader left) or failed; `status` 0: no answer was begun."""
        line: dict[str, object] = {
            "event": "invocation",
            "request_id": self.request_id,
            "source": self.request.source if self.request else None,
            "method": self.request.scope["method"] if self.request else None,
            "path": self.request.scope["path"] if self.request else None,
            "status": status or None,
            "outcome": outcome if fault is None else "failed",
            "bytes": sent_bytes,
            "duration_ms": round((time.monotonic() - self.started) * 1000, 1),
        }
        if fault is not None:
            line["fault"] = asdict(fault)
        logger.log(logging.INFO if fault is None else logging.ERROR, "%s", json.dumps(line))
