"""A published model to read, and the server that it is read from."""

import hashlib
from collections.abc import Iterator

import pytest

from handler.aws.store.patience import Patience
from handler.aws.store.source import S3Source
from handler.location import S3Location
from handler.manifest import PART_BYTES, FileEntry, Graph, ModelManifest, Source
from tests.aws.store.faulty_s3 import BUCKET, FaultyS3, faulty_s3

LOCATION = S3Location(bucket=BUCKET, prefix="tiny/v1")
IMPATIENT = Patience(attempts=4, first_pause=0.001)
WEIGHTS = bytes(range(256)) * (2 * PART_BYTES // 256) + b"the end"
FILES = {"model.onnx": b"a graph", "model.onnx.data": WEIGHTS, "tokenizer.json": b"{}", "empty": b""}


def entry(data: bytes, *, parts: bool = True) -> FileEntry:
    """As the exporter describes a file; `parts=False`: as it did before parts had sums."""
    pieces = [data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES)]
    sums = tuple(hashlib.sha256(piece).hexdigest() for piece in pieces) if parts and len(pieces) > 1 else ()
    return FileEntry(sha256=hashlib.sha256(data).hexdigest(), size=len(data), parts=sums)


def manifest(*, parts: bool = True) -> ModelManifest:
    return ModelManifest(
        name="tiny",
        created=0,
        source=Source(kind="directory", id="tiny"),
        architecture="LlamaForCausalLM",
        exporter="direct",
        recipe="fp32",
        context_window=8,
        vocab_size=4,
        end_token_ids=(0,),
        graph=Graph(file="model.onnx", kv_layout="shared", inputs=(), outputs=()),
        files={name: entry(data, parts=parts) for name, data in FILES.items()},
    )


def publish(store: FaultyS3, **how: bool) -> str:
    """Puts the model under the location. Returns the manifest's sha256."""
    described = manifest(**how).model_dump_json().encode()
    for name, data in (FILES | {"manifest.json": described}).items():
        store.objects[LOCATION.key(name)] = data
    return hashlib.sha256(described).hexdigest()


def read(location: S3Location = LOCATION) -> dict[str, bytes]:
    """All files of a location, as a server gets them. Raises what a server is told."""
    source = S3Source(location, patience=IMPATIENT)
    files = source.fetch()
    try:
        files.verify()
        return {name: (files.directory / name).read_bytes() for name in source.manifest.files}
    finally:
        files.close()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    """The only S3 that there is for this process, with the model in it."""
    with faulty_s3() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        publish(server)
        yield server
