"""What an invocation knows of itself, and what the application is told of it."""

import time

from handler import scope
from handler.aws.asgi import State
from handler.frozen import dataclass

# Where X-Ray's SDK looks for the trace header of the invocation.
TRACE_VARIABLE = "_X_AMZN_TRACE_ID"


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaContext:
    """What handlers know as `context`, as far as the Runtime API tells it. `deadline_ms` is epoch time."""

    aws_request_id: str
    invoked_function_arn: str
    deadline_ms: int

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self.deadline_ms - int(time.time() * 1000))


def request_state(state: State, *, remaining_ms: float, margin_ms: int) -> State:
    """A request's own copy of the lifespan state, with `deadline`: when, on `time.monotonic()`, an answer must end."""
    return {**state, scope.DEADLINE: time.monotonic() + (remaining_ms - margin_ms) / 1000}
