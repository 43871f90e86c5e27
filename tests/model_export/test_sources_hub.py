"""Facts about hub repositories, against a hub that speaks the real protocol on this machine."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from handler.manifest import Source
from model_export.checkpoint import Checkpoint, SentencePooling
from model_export.errors import ExportError
from model_export.progress import Stopwatch
from model_export.sources.hub import HubRepository
from tests.model_export import tiny

COMMIT = "0123456789abcdef0123456789abcdef01234567"
API = "/api/models/"


class Hub(ThreadingHTTPServer):
    """Serves `files` as test/tiny at `main`; test/gated, test/broken and all others fail as the hub does."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.files = files
        self.downloads: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        if self.path.startswith(API):
            repository, _, revision = self.path.removeprefix(API).partition("/revision/")
            if repository == "test/tiny" and revision in ("main", COMMIT):
                files = [{"rfilename": name} for name in (*self.server.files, "onnx/model.onnx", "other.bin")]
                self._send(200, json.dumps({"id": repository, "sha": COMMIT, "siblings": files}).encode(), body=body)
            elif repository == "test/tiny":
                self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"}, body=body)
            elif repository == "test/gated":
                self._send(403, b"{}", {"X-Error-Code": "GatedRepo"}, body=body)
            else:
                self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body=body)
            return
        content = self.server.files[self.path.removeprefix(f"/test/tiny/resolve/{COMMIT}/")]
        if body:
            self.server.downloads.append(self.path.rpartition("/")[2])
        tag = f'"{hashlib.sha256(content).hexdigest()}"'
        self._send(200, content, {"ETag": tag, "X-Repo-Commit": COMMIT}, body=body)

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None, *, body: bool) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    directory = tiny.write_directory(tmp_path / "files", tiny.weights())
    (directory / "README.md").write_text("---\nlicense: mit\n---\n")
    with Hub({path.name: path.read_bytes() for path in directory.iterdir()}) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def load(endpoint: str, cache: Path, source: str) -> Checkpoint:
    return HubRepository(endpoint, cache).load(source, Stopwatch())


@pytest.mark.parametrize("source", ["test/tiny", "test/tiny@main", f"test/tiny@{COMMIT}"])
def test_a_repository_is_downloaded_and_its_commit_recorded(hub: Hub, tmp_path: Path, source: str) -> None:
    checkpoint = load(hub.url, tmp_path / "cache", source)
    assert checkpoint.source == Source(kind="hub", id="test/tiny", revision=COMMIT)
    assert (checkpoint.name, checkpoint.license) == ("tiny", "mit")
    np.testing.assert_array_equal(checkpoint.tensors.load("model.norm.weight"), tiny.weights()["model.norm.weight"])
    assert sorted(hub.downloads) == sorted(hub.files)  # and none of the files in other formats


def test_an_embedding_models_pooling_comes_too(hub: Hub, tmp_path: Path) -> None:
    hub.files["1_Pooling/config.json"] = b'{"pooling_mode_cls_token": true}'
    kinds = {"": "Transformer", "1_Pooling": "Pooling"}
    hub.files["modules.json"] = json.dumps([{"path": path, "type": kind} for path, kind in kinds.items()]).encode()
    expected = SentencePooling(pooling="cls", normalize=False, window=tiny.WINDOW)
    assert load(hub.url, tmp_path / "cache", "test/tiny").embedding == expected


def test_without_a_connection_the_cache_serves(hub: Hub, tmp_path: Path) -> None:
    load(hub.url, tmp_path / "cache", "test/tiny")
    again = load("http://127.0.0.1:9", tmp_path / "cache", "test/tiny")
    assert again.source.revision == COMMIT


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("test/none", "test/none is neither a directory here nor a repository of the hub: check the spelling"),
        ("test/gated", "test/gated is gated: accept its terms on the hub"),
        ("test/tiny@v9", "test/tiny has no revision 'v9': give a branch, a tag or a commit"),
    ],
)
def test_what_the_hub_refuses_is_said_in_one_line(hub: Hub, tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(ExportError, match=message) as caught:
        load(hub.url, tmp_path / "cache", source)
    assert "\n" not in str(caught.value)


def test_without_a_connection_and_a_cache_both_are_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is not in the local cache and the hub cannot be reached"):
        load("http://127.0.0.1:9", tmp_path / "cache", "test/tiny")
