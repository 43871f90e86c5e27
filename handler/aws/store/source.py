"""A model in S3: its manifest, at the location's version, and its files when they are asked for."""

import hashlib
import time

from handler.aws.store.bucket import Bucket
from handler.aws.store.download import Download
from handler.aws.store.faults import Interrupted, given_up
from handler.aws.store.patience import Patience
from handler.errors import ArtifactError
from handler.location import S3Location
from handler.manifest import FILE_NAME, ModelManifest

_MANIFEST_BYTES = 16 * 1024 * 1024  # a model of 100 GB with 1,000 tensors has one of half a megabyte


class S3Source:
    """A `ModelSource`. Two that name the same digest are the same model, byte for byte."""

    in_memory = True

    def __init__(self, location: S3Location, *, patience: Patience | None = None) -> None:
        """Reads the manifest.

        Raises ArtifactError if there is none that this server reads or another one than the location's, and
        ConfigurationError if S3 does not let it be read.
        """
        self._patience = patience or Patience()
        self._location = location
        self._bucket = Bucket(location)
        data = self._read_manifest()
        digest = hashlib.sha256(data).hexdigest()
        if location.sha256 not in (None, digest):
            raise ArtifactError(
                f"{location.url(FILE_NAME)} has the sha256 {digest}, not the one of {location}: publish a model to a"
                " prefix of its own, and name the location that is printed then"
            )
        self.manifest = ModelManifest.parse(data, location.url(FILE_NAME))
        self.pinned = S3Location(bucket=location.bucket, prefix=location.prefix, sha256=digest)
        """The location with the digest of what is there."""

    def fetch(self) -> Download:
        return Download(self._bucket, self._location, self.manifest, patience=self._patience)

    def _read_manifest(self) -> bytes:
        url = self._location.url(FILE_NAME)
        failures = 0
        while True:
            try:
                return self._bucket.read_all(FILE_NAME, _MANIFEST_BYTES)
            except Interrupted as error:
                failures += 1
                if failures == self._patience.attempts:
                    raise given_up(url, failures, error) from None
                time.sleep(self._patience.pause(failures))
