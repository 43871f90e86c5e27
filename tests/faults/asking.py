"""What a client asks, and what it can tell of the answer: whole or cut, and why it ended."""

import json
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx

from lambda_local.invoke import render
from tests.faults.stage import MODEL, PARIS_EVENT, PATIENCE, Stage

Json = dict[str, Any]
PARIS: Json = {
    "model": MODEL,
    "temperature": 0,
    "max_completion_tokens": 12,
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
}
# Long enough to be interrupted: two thousand tokens take half a minute on two cores.
LONG: Json = {
    "model": MODEL,
    "temperature": 0,
    "ignore_eos": True,
    "max_completion_tokens": 2000,
    "messages": [{"role": "user", "content": "Tell me a very long story."}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an answer ended, to its client. `status` None: no answer at all. `whole`: nothing is missing, and the client
    can tell. `finish_reason`: of all choices. `code`: of the error."""

    status: int | None
    whole: bool = True
    finish_reason: str | None = None
    code: str | None = None

    def __str__(self) -> str:
        if self.status is None:
            return "nobody reads it" if self.code is None else f"the invocation fails: `{self.code}`"
        words = [str(self.status)]
        if self.finish_reason is not None:
            words.append(f"finish_reason `{self.finish_reason}`")
        if self.code is not None:
            words.append(f"`{self.code}`")
        if not self.whole:
            words.append("and then the connection is cut")
        return ", ".join(words)


def ask(client: httpx.Client, body: Mapping[str, Any] | bytes, path: str = "/v1/chat/completions") -> Ending:
    """The whole exchange."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    received = bytearray()
    status: int | None = None
    try:
        with client.stream("POST", path, content=content, headers={"content-type": "application/json"}) as response:
            status = response.status_code
            for chunk in response.iter_raw():
                received += chunk
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.ConnectError):
        return Ending(status=status, whole=False)
    return ending(status, bytes(received))


def ending(status: int | None, body: bytes) -> Ending:
    """Of an answer that the connection brought to its end. A stream is whole after `[DONE]`, and only then."""
    if body.startswith(b"data: "):
        events = [line.removeprefix("data: ") for line in body.decode().splitlines() if line]
        values = [json.loads(event) for event in events if event != "[DONE]"]
        return Ending(
            status=status, whole=events[-1] == "[DONE]", finish_reason=_finish_reason(values), code=_code(values[-1])
        )
    try:
        value = json.loads(body)
    except ValueError:
        return Ending(status=status)
    return Ending(status=status, finish_reason=_finish_reason([value]), code=_code(value))


def ask_raw(stage: Stage, event: bytes) -> Ending:
    """An event that no Function URL would make. Of a function that fails, `code` is the error's type."""
    answer = stage.invoke(event)
    status, text = render(answer)
    if status:
        return ending(status, text.partition("\n\n")[2].encode())
    try:
        return Ending(status=None, code=json.loads(answer)["errorType"])
    except (ValueError, KeyError):
        return Ending(status=None, whole=False)


def the_next_answer(stage: Stage) -> Ending:
    """How a plain question is answered that comes after a fault. An answer over HTTP has to hold "Paris"."""
    if stage.setup.is_rie:
        return ask_raw(stage, PARIS_EVENT.read_bytes())
    response = stage.client.post("/v1/chat/completions", json=PARIS)
    assert "Paris" in response.text
    return ending(response.status_code, response.content)


def _finish_reason(values: list[Any]) -> str | None:
    choices = [choice for value in values if isinstance(value, dict) for choice in value.get("choices", ())]
    reasons = {choice["finish_reason"] for choice in choices} - {None}
    return ", ".join(sorted(reasons)) or None


def _code(value: Any) -> str | None:
    error = value.get("error") if isinstance(value, dict) else None
    return error.get("code") if isinstance(error, dict) else None


@contextmanager
def begun(url: str, body: Json, *, receive_buffer: int | None = None) -> Iterator[socket.socket]:
    """A chat of which the client has sent the request; it reads what and when it likes, and leaves at the end.

    receive_buffer: bytes that the kernel takes for a client that does not read.
    """
    host, _, port = url.removeprefix("http://").partition(":")
    data = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    )
    with socket.socket() as connection:
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(PATIENCE)
        connection.connect((host, int(port)))
        connection.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(data) + data)
        yield connection


def read_events(connection: socket.socket, count: int) -> bytes:
    """Reads until `count` events of a stream have come, or all there is."""
    received = b""
    while received.count(b"\ndata: ") < count and (data := connection.recv(4096)):
        received += data
    return received


def read_rest(connection: socket.socket, received: bytes) -> Ending:
    """The ending of an answer of which `received` has come already."""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionError:
        pass
    head, _, body = received.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
    if length is not None:
        return replace(ending(status, body), whole=len(body) == int(length[1]))
    seen = ending(status, b"".join(line + b"\n" for line in body.splitlines() if line.startswith(b"data: ")))
    return replace(seen, whole=seen.whole and body.endswith(b"0\r\n\r\n"))
