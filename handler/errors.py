"""The exception tree. Each class says whose fault it is; each message says what would have worked.

    EndpointError
    ├── RequestError             the caller's: 4xx, never retried
    │   ├── InvalidRequest         400  a value of the wrong type, out of bounds, or missing
    │   │   ├── UnknownParameter     400  a key that nobody defines
    │   │   ├── UnsupportedParameter 400  a real OpenAI field that this server cannot honour
    │   │   ├── UnsupportedValue     400  a real OpenAI value that this server cannot honour
    │   │   ├── ContextLengthExceeded 400 a prompt that does not fit the window
    │   │   └── PromptTooLong         400 a prompt that is longer than the operator allows
    │   ├── Unauthorized           401
    │   ├── NotFound               404  a path, or a model that is not served
    │   ├── MethodNotAllowed       405
    │   ├── BodyTooLarge           413
    │   └── UnsupportedMediaType   415
    ├── Busy                     nobody's: 429, worth a retry after a pause
    ├── RateLimited              the caller's: 429, more requests in a minute than its key may send; worth a retry
    ├── QuotaExceeded            the caller's: 429, more tokens in a day than its key may use; until midnight, no retry
    ├── Unavailable              nobody's: 503, what the server needs to answer is out of reach; worth a retry
    ├── DeadlineExceeded         nobody's: 504, the time was up before the first token
    ├── ServerFault              ours: 500, the message tells no internals
    └── ConfigurationError       the operator's: the process refuses to start
        └── ArtifactError          a model directory that is missing, damaged or of another format

No message ever holds a prompt, an answer or a key.
"""

from typing import ClassVar


class EndpointError(Exception):
    """Base of all errors that this package raises on purpose."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str | None] = None
    retryable: ClassVar[bool] = False
    retry_after_seconds: int | None = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code if code is not None else self.default_code


class RequestError(EndpointError):
    status = 400
    type = "invalid_request_error"


class InvalidRequest(RequestError):
    default_code = "invalid_value"


class UnknownParameter(InvalidRequest):
    default_code = "unknown_parameter"


class UnsupportedParameter(InvalidRequest):
    default_code = "unsupported_parameter"


class UnsupportedValue(InvalidRequest):
    default_code = "unsupported_value"


class ContextLengthExceeded(InvalidRequest):
    default_code = "context_length_exceeded"

    def __init__(self, *, prompt_tokens: int | None, context_window: int, param: str = "messages") -> None:
        """`prompt_tokens` None: so many that they were not counted."""
        counted = f"more than {context_window}" if prompt_tokens is None else str(prompt_tokens)
        super().__init__(
            f"This model's maximum context length is {context_window} tokens. However, your {param} resulted in"
            f" {counted} tokens. Please reduce the length of the {param}.",
            param=param,
        )


class PromptTooLong(InvalidRequest):
    """The code is that of a full window: clients that know it send less."""

    default_code = "context_length_exceeded"

    def __init__(self, *, prompt_tokens: int, most: int, param: str) -> None:
        super().__init__(
            f"This server takes at most {most} prompt tokens for each request. However, your {param} resulted in"
            f" {prompt_tokens} tokens. Please reduce the length of the {param}.",
            param=param,
        )


class OutOfMemory(InvalidRequest):
    default_code = "out_of_memory"


class Unauthorized(RequestError):
    status = 401
    default_code = "invalid_api_key"


class NotFound(RequestError):
    status = 404
    default_code = "not_found"


class MethodNotAllowed(RequestError):
    status = 405
    default_code = "method_not_allowed"


class BodyTooLarge(RequestError):
    status = 413
    default_code = "request_too_large"


class UnsupportedMediaType(RequestError):
    status = 415
    default_code = "unsupported_media_type"


class Busy(EndpointError):
    status = 429
    type = "rate_limit_error"
    default_code = "server_busy"
    retryable = True

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(EndpointError):
    """Type and code are OpenAI's."""

    status = 429
    type = "requests"
    default_code = "rate_limit_exceeded"
    retryable = True

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class QuotaExceeded(EndpointError):
    """Type and code are OpenAI's; clients know by them that no retry will help."""

    status = 429
    type = "insufficient_quota"
    default_code = "insufficient_quota"

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(EndpointError):
    status = 503
    default_code = "unavailable"
    retryable = True

    def __init__(self, message: str, *, retry_after_seconds: int, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_seconds = retry_after_seconds


class DeadlineExceeded(EndpointError):
    status = 504
    type = "timeout_error"
    default_code = "deadline_exceeded"


class ServerFault(EndpointError):
    default_code = "internal_error"


class ConfigurationError(EndpointError):
    default_code = "configuration_error"


class ArtifactError(ConfigurationError):
    default_code = "artifact_error"
