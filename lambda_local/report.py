"""The lines that Lambda writes around an invocation. No I/O."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one invocation cost. Durations in milliseconds, memory in MB."""

    request_id: str
    duration: float
    memory_size: int
    init_duration: float | None = None
    max_memory_used: int | None = None
    status: str = "success"
    error_type: str | None = None

    @property
    def billed_duration(self) -> int:
        """Whole milliseconds; initialisation is billed as well."""
        return math.ceil(self.duration + (self.init_duration or 0.0))

    def __str__(self) -> str:
        fields = [
            f"REPORT RequestId: {self.request_id}",
            f"Duration: {self.duration:.2f} ms",
            f"Billed Duration: {self.billed_duration} ms",
            f"Memory Size: {self.memory_size} MB",
        ]
        if self.max_memory_used is not None:
            fields.append(f"Max Memory Used: {self.max_memory_used} MB")
        if self.init_duration is not None:
            fields.append(f"Init Duration: {self.init_duration:.2f} ms")
        if self.status != "success":
            fields.append(f"Status: {self.status}")
        if self.error_type is not None:
            fields.append(f"Error Type: {self.error_type}")
        return "\t".join(fields)


def start_line(request_id: str) -> str:
    """Before the runtime gets the event."""
    return f"START RequestId: {request_id} Version: $LATEST"


def end_line(request_id: str) -> str:
    """After the runtime asked for the next event, or died."""
    return f"END RequestId: {request_id}"
