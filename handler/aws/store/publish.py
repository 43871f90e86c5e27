"""`python -m handler.aws.store.publish DIRECTORY s3://BUCKET/PREFIX`: an exported model goes to S3, the manifest last.

So a prefix has all files of its model, or no manifest and serves nobody. One that has a manifest is never written to:
whoever names it gets that model for as long as it is there. Run again, it goes on with the files that are missing.
"""

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from handler.artifact import verify_files
from handler.errors import ConfigurationError
from handler.location import S3Location, parse_location
from handler.manifest import FILE_NAME, PART_BYTES, FileEntry, ModelManifest

_SHA256 = "sha256"  # the objects' own metadata


def publish(directory: Path, location: S3Location, report: Callable[[str], None]) -> S3Location:
    """Uploads the model in `directory`. Returns the location pinned to it. `report` is told of each file.

    Raises ArtifactError if the directory holds no whole model, and ConfigurationError if the prefix holds another one
    or cannot be written.
    """
    import boto3
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    if location.sha256 is not None:
        raise ConfigurationError(f"{location} is pinned already: give the prefix alone, {location.unpinned}")
    manifest = ModelManifest.read(directory)
    verify_files(directory, manifest, full=True)
    data = (directory / FILE_NAME).read_bytes()
    pinned = S3Location(bucket=location.bucket, prefix=location.prefix, sha256=hashlib.sha256(data).hexdigest())
    try:
        client = boto3.session.Session().client("s3")
        there = _manifest(client, location)
        if there == data:
            report(f"{location} holds this model already")
        elif there is not None:
            raise ConfigurationError(f"{location} holds another model: publish this one to a prefix of its own")
        else:
            for name, entry in manifest.files.items():
                _upload(client, directory / name, location, name, entry, report)
            client.put_object(
                Bucket=location.bucket,
                Key=location.key(FILE_NAME),
                Body=data,
                ChecksumAlgorithm="SHA256",
                IfNoneMatch="*",  # should two publish at once, the first one's manifest stays
            )
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise ConfigurationError(
            f"{location} cannot be written ({error}): allow s3:PutObject and s3:GetObject on"
            f" arn:aws:s3:::{location.bucket}/{location.key('*')}, and s3:ListBucket on the bucket"
        ) from None
    return pinned


def _manifest(client: Any, location: S3Location) -> bytes | None:
    """The manifest that is there; None: there is none."""
    try:
        answer = client.get_object(Bucket=location.bucket, Key=location.key(FILE_NAME))
    except client.exceptions.NoSuchKey:
        return None
    data: bytes = answer["Body"].read()
    return data


def _upload(
    client: Any, path: Path, location: S3Location, name: str, entry: FileEntry, report: Callable[[str], None]
) -> None:
    from boto3.s3.transfer import TransferConfig
    from botocore.exceptions import ClientError

    key = location.key(name)
    try:
        there = client.head_object(Bucket=location.bucket, Key=key)
        if (there["ContentLength"], there["Metadata"].get(_SHA256)) == (entry.size, entry.sha256):
            report(f"{location.url(name)} is there already")
            return
    except ClientError:
        pass  # not there, or not to be told of: then uploading says what is wrong
    client.upload_file(
        str(path),
        location.bucket,
        key,
        ExtraArgs={"Metadata": {_SHA256: entry.sha256}, "ChecksumAlgorithm": "SHA256"},
        Config=TransferConfig(multipart_chunksize=PART_BYTES),
    )
    report(f"{location.url(name)}: {entry.size:,} bytes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code; prints the pinned location."""
    parser = argparse.ArgumentParser(prog="python -m handler.aws.store.publish", description=__doc__)
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="an exported model")
    parser.add_argument("location", metavar="s3://BUCKET/PREFIX", help="a prefix of its own")
    options = parser.parse_args(arguments)
    try:
        location = parse_location(options.location)
        if not isinstance(location, S3Location):
            raise ConfigurationError(f"{options.location} is not in S3: give s3://BUCKET/PREFIX")
        pinned = publish(options.directory, location, _say)
    except (ConfigurationError, ValueError) as error:
        _say(f"error: {error}")
        return 1
    sys.stdout.write(f"LLM_MODEL={pinned}\n")
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
