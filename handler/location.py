"""Where an exported model lies: a directory, or a place in S3 with the manifest that it shall have. Pure."""

import re
from pathlib import Path
from typing import TypeAlias

from handler.frozen import dataclass

_FORM = "s3://BUCKET/PREFIX, or s3://BUCKET/PREFIX@sha256:DIGEST with the sha256 of its manifest.json"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html; the digest as OCI pins an image.
_S3 = re.compile(
    r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[^?#]*?))?/*(?:@sha256:(?P<sha256>[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Location:
    """The objects under `prefix` in `bucket`. `sha256`: of the manifest, in hex; None: whichever is there."""

    bucket: str
    prefix: str
    sha256: str | None = None

    def __str__(self) -> str:
        """As a setting names it."""
        return self.unpinned + (f"@sha256:{self.sha256}" if self.sha256 else "")

    @property
    def unpinned(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def url(self, name: str) -> str:
        """What messages call that file."""
        return f"s3://{self.bucket}/{self.key(name)}"

    def key(self, name: str) -> str:
        """The key of the model's file `name`."""
        return f"{self.prefix}/{name}" if self.prefix else name


Location: TypeAlias = Path | S3Location


def parse_location(value: object) -> object:
    """The location that a text names; what is no text is left to the caller's checks.

    Raises ValueError that says which forms there are.
    """
    if not isinstance(value, str) or "://" not in value:
        return Path(value) if isinstance(value, str) else value
    match = _S3.fullmatch(value)
    if match is None or "@sha256:" in (match["prefix"] or ""):
        raise ValueError(f"{value} is no location of a model: give a directory, {_FORM}")
    return S3Location(bucket=match["bucket"], prefix=(match["prefix"] or "").strip("/"), sha256=match["sha256"])


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedLocation:
    """A model's location. `name`: what it is served under instead of its own name; None: its own."""

    name: str | None
    location: Location


# A name before a location ends at the first "=". It is no part of a path or of a URL.
_NAMED = re.compile(r"(?P<name>[^=:.\s/][^=:\s]*)=(?P<location>.+)", re.DOTALL)


def parse_named_locations(value: object) -> object:
    """The locations in a comma-separated text, each perhaps as NAME=LOCATION. Raises ValueError, as `parse_location`
    does."""
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",") if part.strip()]
    matches = [(part, _NAMED.fullmatch(part)) for part in parts]
    return tuple(
        NamedLocation(
            name=match["name"] if match else None,
            location=_location(match["location"] if match else part),
        )
        for part, match in matches
    )


def _location(text: str) -> Location:
    location = parse_location(text)
    if not isinstance(location, Path | S3Location):
        raise TypeError(f"{text!r} is a text, and a text names a location")
    return location
