"""Publishing to moto's S3 and reading what is there: the manifest comes last, and what has one stays as it is."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from handler.aws.store.publish import main, publish
from handler.errors import ArtifactError, ConfigurationError
from handler.location import S3Location
from tests.aws.store.conftest import FILES, LOCATION, manifest, read


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of it, and the bucket, empty."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.session.Session().client("s3")
    client.create_bucket(Bucket=LOCATION.bucket)
    yield client
    for stored in client.list_objects_v2(Bucket=LOCATION.bucket).get("Contents", []):
        client.delete_object(Bucket=LOCATION.bucket, Key=stored["Key"])
    client.close()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    manifest().write(tmp_path)
    return tmp_path


def silent(line: str) -> None:
    assert line


@pytest.mark.usefixtures("s3")
def test_what_is_published_is_read_at_the_location_that_is_printed(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(directory), LOCATION.unpinned]) == 0
    digest = hashlib.sha256((directory / "manifest.json").read_bytes()).hexdigest()
    assert capsys.readouterr().out == f"LLM_MODEL=s3://models/tiny/v1@sha256:{digest}\n"
    assert read(S3Location(bucket="models", prefix="tiny/v1", sha256=digest)) == FILES


@pytest.mark.usefixtures("s3")
def test_the_manifest_comes_last_and_what_is_there_is_not_sent_again(directory: Path) -> None:
    told: list[str] = []

    def breaks_off(line: str) -> None:
        told.append(line)
        if "model.onnx.data" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(directory, LOCATION, breaks_off)
    with pytest.raises(ArtifactError, match=r"manifest\.json is missing: publish the model with `make publish"):
        read()
    told.clear()
    publish(directory, LOCATION, told.append)
    assert told[:2] == [f"s3://models/tiny/v1/{name} is there already" for name in ("model.onnx", "model.onnx.data")]
    assert read() == FILES


@pytest.mark.usefixtures("s3")
def test_a_prefix_keeps_its_model(directory: Path) -> None:
    told: list[str] = []
    pinned = publish(directory, LOCATION, silent)
    assert publish(directory, LOCATION, told.append) == pinned
    assert told == ["s3://models/tiny/v1 holds this model already"]
    manifest(parts=False).write(directory)
    with pytest.raises(ConfigurationError, match=r"holds another model: publish this one to a prefix of its own"):
        publish(directory, LOCATION, silent)
    assert read(pinned) == FILES


@pytest.mark.usefixtures("s3")
def test_a_damaged_directory_is_not_published(directory: Path) -> None:
    (directory / "tokenizer.json").write_bytes(b"[]")
    with pytest.raises(ArtifactError, match=r"tokenizer\.json does not have the sha256 of its manifest"):
        publish(directory, LOCATION, silent)


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("artifacts/elsewhere", "error: artifacts/elsewhere is not in S3: give s3://BUCKET/PREFIX"),
        ("s3://Models/tiny", "error: s3://Models/tiny is no location of a model"),
        ("s3://models/tiny@sha256:" + "0" * 64, "is pinned already: give the prefix alone, s3://models/tiny"),
        ("s3://no-such-bucket/tiny", "cannot be written (An error occurred (NoSuchBucket)"),
        ("", "error:  is not in S3: give s3://BUCKET/PREFIX"),
    ],
)
def test_what_cannot_be_published_to_is_told(
    directory: Path, capsys: pytest.CaptureFixture[str], location: str, says: str
) -> None:
    assert main([str(directory), location]) == 1
    assert says in capsys.readouterr().err


def test_a_bucket_with_a_whole_model_is_enough(s3: Any, directory: Path) -> None:
    """As `aws s3 cp --recursive` leaves it: nothing depends on how the objects came there."""
    for path in directory.iterdir():
        s3.upload_file(str(path), LOCATION.bucket, LOCATION.key(path.name))
    assert read() == FILES
