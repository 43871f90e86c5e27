"""S3 for reading, from files and as cheaply as Python can: `python -m tests.bench.static_s3 DIRECTORY`.

It prints its port. GET /BUCKET/NAME answers with the file or a range of it; GET /BUCKET/RATE/NAME does so as S3 over a
network: each connection at RATE MB/s, its first byte after a pause.
"""

import os
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_FIRST_BYTE_SECONDS = 0.02  # within a region, S3 takes 10 to 30 ms
_PIECE = 256 * 1024  # bytes between two looks at the clock
_MB = 1e6


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    directory = Path()

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        *_, rate, name = ["", *self.path.partition("?")[0].split("/")]
        path = self.directory / name
        size = path.stat().st_size
        wanted = _RANGE.fullmatch(self.headers["Range"] or "")
        start, end = (int(wanted[1]), min(int(wanted[2]) + 1, size)) if wanted else (0, size)
        self.send_response(206 if wanted else 200)
        self.send_header("ETag", f'"{path.stat().st_mtime_ns:x}"')
        self.send_header("Content-Length", str(end - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.end_headers()
        if body:
            self._send(path, start, end, float(rate) if rate.isdecimal() else None)

    def _send(self, path: Path, start: int, end: int, rate: float | None) -> None:
        if rate is not None:
            time.sleep(_FIRST_BYTE_SECONDS)
        began, at = time.monotonic(), start
        with path.open("rb") as file:
            while at < end:
                at += os.sendfile(self.connection.fileno(), file.fileno(), at, min(end - at, _PIECE))
                if rate is not None:
                    time.sleep(max(0.0, began + (at - start) / (rate * _MB) - time.monotonic()))

    def log_message(self, *_: object) -> None:
        pass


def main(directory: Path) -> None:
    """Serves until it is killed."""
    _Handler.directory = directory
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
