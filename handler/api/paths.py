"""What of a request's first line may go into the log: a path or a method that this server knows. Anything else is the
caller's text. Pure."""

MODEL = "/v1/models/{id}"
PATHS = frozenset(
    {
        "/",
        "/health",
        "/detokenize",
        "/tokenize",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/models",
        "/v1/responses",
    }
)
METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
OTHER = "other"


def known_path(path: str) -> str:
    """`path` itself, with `{id}` for a model's, or `other`."""
    if path in PATHS:
        return path
    return MODEL if path.startswith("/v1/models/") else OTHER


def known_method(method: str) -> str:
    return method if method in METHODS else OTHER
