"""The model store: MB of the default model per second, from an S3 on this machine into memory (or onto a disk).

Once as fast as the machine can, and once as over a network, where a connection has 90 MB/s and a pause before its first
byte. Ours hashes every byte twice and compares; the others take what they are given.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from handler.aws.store.source import S3Source
from handler.location import S3Location
from handler.manifest import FILE_NAME
from model_export.recipes import DEFAULT
from tests.bench import weights
from tests.bench.command import Missing, Options, Record, alternate, run
from tests.bench.machine import ROOT
from tests.bench.names import DOWNLOAD_FILE, GET_OBJECT, NETWORK, STORE, UNBOUND

_ROUNDS = 7
_RATE = 90  # MB/s: what one connection to S3 gives, by AWS's guidelines for its performance
_BUCKET = "models"
_MB = 1e6


@dataclass(frozen=True, slots=True)
class _Way:
    """One way of reading all files of a model. `read` takes the location and the names of the files."""

    name: str
    read: Callable[[S3Location, list[str]], None]


def _download_file(location: S3Location, names: list[str]) -> None:
    import boto3

    client = boto3.session.Session().client("s3")
    with tempfile.TemporaryDirectory() as directory:
        for name in names:
            client.download_file(location.bucket, location.key(name), str(Path(directory) / name))


def _get_object(location: S3Location, names: list[str]) -> None:
    import boto3

    client = boto3.session.Session().client("s3")
    for name in names:
        client.get_object(Bucket=location.bucket, Key=location.key(name))["Body"].read()


def _store(location: S3Location, _names: list[str]) -> None:
    files = S3Source(location).fetch()
    try:
        files.verify()
    finally:
        files.close()


_WAYS = (_Way(DOWNLOAD_FILE, _download_file), _Way(GET_OBJECT, _get_object), _Way(STORE, _store))


@contextmanager
def _serving(directory: Path) -> Iterator[None]:
    """The only S3 that there is for this process."""
    command = [sys.executable, "-m", "tests.bench.static_s3", str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        os.environ |= {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{int(server.stdout.readline())}",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        try:
            yield
        finally:
            server.kill()


def measure(options: Options, record: Record) -> None:
    """MB per second, the client's creation included."""
    directory = weights.prepared(DEFAULT)
    names = [path.name for path in directory.iterdir() if path.name != FILE_NAME]
    size = sum((directory / name).stat().st_size for name in names)
    with _serving(directory):
        for metric, prefix in ((NETWORK, str(_RATE)), (UNBOUND, "")):
            location = S3Location(bucket=_BUCKET, prefix=prefix)

            def speed(way: _Way, location: S3Location = location) -> float:
                begin = time.perf_counter()
                way.read(location, names)
                return size / _MB / (time.perf_counter() - begin)

            for way, found in alternate(_WAYS, speed, rounds=options.rounds(_ROUNDS)).items():
                assert not isinstance(found, Missing)
                record.samples(way.name, metric, found, "MB/s", recipe=DEFAULT)


if __name__ == "__main__":
    sys.exit(run("store", measure))
