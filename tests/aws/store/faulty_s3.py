"""S3 as far as the store asks it: GET with ranges over real HTTP; and on demand whatever can go wrong with it."""

import hashlib
import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

BUCKET = "models"
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


@dataclass
class Answer:
    """What is to be sent. `cut`: so many bytes of the body, and then the connection is closed."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: int | None = None


Fault: TypeAlias = Callable[[Answer], Answer]


def refusal(status: int, code: str, **headers: str) -> Fault:
    """An error as S3 words it."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _answer: Answer(status, {"Content-Type": "application/xml", **named}, body)


def cut(at: int) -> Fault:
    """The connection ends after `at` bytes of the body."""
    return lambda answer: Answer(answer.status, answer.headers, answer.body, cut=at)


def flipped(at: int) -> Fault:
    """One bit of byte `at` is another."""

    def flip(answer: Answer) -> Answer:
        body = bytearray(answer.body)
        body[at] ^= 1
        return Answer(answer.status, answer.headers, bytes(body))

    return flip


@dataclass
class FaultyS3:
    """`objects` by key. `once`: faults for the next requests of a key, in turn; `always`: for all after those."""

    objects: dict[str, bytes] = field(default_factory=dict)
    once: defaultdict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    always: dict[str, Fault] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # key and range of each request
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, key: str, wanted: str | None) -> Answer:
        with self.lock:
            self.asked.append((key, wanted))
            data = self.objects.get(key)
            fault = self.once[key].popleft() if self.once[key] else self.always.get(key)
        answer = _answer(data, wanted)
        return answer if fault is None else fault(answer)


def _answer(data: bytes | None, wanted: str | None) -> Answer:
    if data is None:
        return refusal(404, "NoSuchKey")(Answer(200, {}, b""))
    headers = {"ETag": f'"{hashlib.md5(data[:64] + data[-64:]).hexdigest()}"', "Accept-Ranges": "bytes"}
    match = _RANGE.fullmatch(wanted or "")
    if match is None:
        return Answer(200, headers, data)
    start, end = int(match[1]), min(int(match[2]) + 1, len(data))
    if start >= len(data):
        return refusal(416, "InvalidRange")(Answer(200, {}, b""))
    return Answer(206, headers | {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"}, data[start:end])


@contextmanager
def faulty_s3() -> Iterator[FaultyS3]:
    """The server, empty, on a port of its own."""
    store = FaultyS3()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _, bucket, key = unquote(urlsplit(self.path).path).split("/", 2)
            if bucket == BUCKET:
                self._send(store.answer(key, self.headers["Range"]))
            else:
                self._send(refusal(404, "NoSuchBucket")(Answer(200, {}, b"")))

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: answer.cut])
            self.close_connection = answer.cut is not None

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    store.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
