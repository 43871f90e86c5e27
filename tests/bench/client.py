"""A client that costs little: one connection, the stream read line by line, times taken first and JSON parsed after."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.bench.command import MODEL, Missing

_TIMEOUT_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`first` and `total` are seconds from the request to the first text and to the end."""

    first: float
    total: float
    tokens: int
    prompt_tokens: int
    cached_tokens: int
    text: str

    @property
    def tokens_per_second(self) -> float:
        """Of the whole request, its prompt included."""
        return self.tokens / self.total

    @property
    def decoded_per_second(self) -> float:
        """Of what came after the first text."""
        return (self.tokens - 1) / (self.total - self.first)


def chat(port: int, content: str, **fields: object) -> Answer:
    """A streamed answer to one user message. Raises Missing with the server's words if it refuses."""
    return stream(port, "/v1/chat/completions", {"messages": [{"role": "user", "content": content}], **fields})


def complete(port: int, prompt: str, **fields: object) -> Answer:
    """A streamed completion of `prompt`. Raises Missing with the server's words if it refuses."""
    return stream(port, "/v1/completions", {"prompt": prompt, **fields})


def stream(port: int, path: str, body: Mapping[str, object]) -> Answer:
    """Any streamed request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    everything = {"model": MODEL, "stream": True, "stream_options": {"include_usage": True}, **body}
    payload = json.dumps(everything).encode()
    start = time.perf_counter()
    try:
        connection.request("POST", path, payload, {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise Missing(f"the server answered {response.status}: {response.read().decode()[:200]}")
        lines = [(time.perf_counter() - start, line) for line in response]
    except (OSError, http.client.HTTPException) as error:
        raise Missing(f"the server broke off ({type(error).__name__})") from None
    finally:
        connection.close()
    return _answer([(moment, line[6:]) for moment, line in lines if line.startswith(b"data: {")])


def _answer(events: list[tuple[float, bytes]]) -> Answer:
    first, text, usage = None, "", None
    for moment, line in events:
        event: dict[str, Any] = json.loads(line)
        if "error" in event:
            raise Missing(f"the answer broke off: {event['error']['message']}")
        usage = event.get("usage") or usage
        for choice in event["choices"]:
            piece = choice.get("text") or choice.get("delta", {}).get("content") or ""
            if piece and first is None:
                first = moment
            text += piece
    if first is None or usage is None:
        raise Missing("the answer had no text")
    return Answer(
        first=first,
        total=events[-1][0],
        tokens=usage["completion_tokens"],
        prompt_tokens=usage["prompt_tokens"],
        cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0),
        text=text,
    )
