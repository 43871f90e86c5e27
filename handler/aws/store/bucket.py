"""The objects of a location, read over HTTP. What goes wrong is either worth another attempt or the operator's to mend.

One attempt is one request: botocore's own retries are off, because they know nothing of a body that breaks off.
"""

import re
from collections.abc import Callable, Generator
from contextlib import closing

from handler.aws.store.faults import reading
from handler.errors import ArtifactError, ConfigurationError
from handler.location import S3Location

BLOCK_BYTES = 256 * 1024  # what a broken connection costs at most; each is one turn of hashing and writing
_CONNECT_SECONDS = 3
_READ_SECONDS = 5  # without a byte; S3 begins to answer in a tenth of a second
_CONNECTIONS = 16  # more than there are threads: none waits for another's connection
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class Bucket:
    """The objects of one location. Thread-safe."""

    def __init__(self, location: S3Location) -> None:
        """Connects to nothing yet. Raises ConfigurationError if the environment's settings for AWS are no good."""
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        self._location = location
        config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            max_pool_connections=_CONNECTIONS,
            retries={"total_max_attempts": 1},
            response_checksum_validation="when_required",  # of ranges there is no sum but the manifest's
        )
        try:
            self._client = boto3.session.Session().client("s3", config=config)
        except (BotoCoreError, ValueError) as error:
            raise ConfigurationError(f"{location} cannot be read: {error}") from None

    def read_all(self, name: str, most: int) -> bytes:
        """A small object. Raises Interrupted, and ArtifactError if it is not there or larger than `most` bytes."""
        with reading(self._location, name):
            # S3 keeps a sum of what was uploaded with one, and botocore compares it.
            answer = self._client.get_object(
                Bucket=self._location.bucket, Key=self._location.key(name), ChecksumMode="ENABLED"
            )
            with closing(answer["Body"]) as body:
                if answer["ContentLength"] > most:
                    raise ArtifactError(f"{self._location.url(name)} has more than {most} bytes: it is no {name}")
                data: bytes = body.read()
                return data

    def read(self, name: str, start: int, end: int, check: Callable[[str, int], None]) -> Generator[bytes, None, None]:
        """The bytes from `start` to before `end`, in blocks. `check` is called before the first one, with the object's
        ETag and size; what it raises is raised.

        Raises Interrupted wherever the connection breaks, and ArtifactError if there is no such object.
        """
        with reading(self._location, name):
            answer = self._client.get_object(
                Bucket=self._location.bucket, Key=self._location.key(name), Range=f"bytes={start}-{end - 1}"
            )
            with closing(answer["Body"]) as body:
                match = _RANGE.fullmatch(answer.get("ContentRange", ""))
                if match is None or int(match[1]) != start:
                    raise ArtifactError(
                        f"{self._location.url(name)} cannot be read in ranges: use a store that knows them"
                    )
                check(answer["ETag"], int(match[2]))
                while block := body.read(BLOCK_BYTES):
                    yield block

    def close(self) -> None:
        """Drops the connections; reading makes new ones."""
        self._client.close()
