"""How a failure is told: to Lambda as a fault, to the caller as OpenAI's error object.

A message leaves only where the exception is ours (`EndpointError`, whose messages hold no prompt). Of any other
exception the type and the places in the code are told, never the text: a library may have quoted its input.
"""

import json
import traceback

from handler.aws.asgi import Headers
from handler.errors import EndpointError
from handler.frozen import dataclass

# A trailer is a header: a thousand frames of a runaway recursion would not fit where headers are read.
MAX_FRAMES = 20


class IncompleteResponse(RuntimeError):
    """The application returned before it had answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What the Runtime API's `…/error` paths and the stream's error trailers carry."""

    type: str
    message: str
    stack: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        payload = {"errorType": self.type, "errorMessage": self.message, "stackTrace": list(self.stack)}
        return json.dumps(payload).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A whole HTTP answer."""

    status: int
    headers: Headers
    body: bytes


def fault_of(error: BaseException) -> Fault:
    """Class name, message (of our own exceptions only) and `file:line function` of the innermost frames, in order."""
    name = type(error).__name__
    message = error.message if isinstance(error, EndpointError) else f"{name}; its text is withheld, see the stack"
    return Fault(type=name, message=message, stack=_stack(error))


def startup_fault_of(error: BaseException) -> Fault:
    """The same with every message told: before the first request there is no prompt that it could quote."""
    return Fault(type=type(error).__name__, message=str(error), stack=_stack(error))


def _stack(error: BaseException) -> tuple[str, ...]:
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    return tuple(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)


def error_response(error: EndpointError, request_id: str) -> Response:
    """`{"error": {message, type, param, code}}`. Nothing of the kind that arises here is worth a retry."""
    content = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    body = json.dumps({"error": content}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
        (b"x-should-retry", b"true" if error.retryable else b"false"),
    ]
    return Response(status=error.status, headers=headers, body=body)
