"""Facts about locations: which texts name one, and what the others are told."""

from pathlib import Path

import pytest

from handler.location import S3Location, parse_location

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("/opt/model", Path("/opt/model")),
        ("artifacts/default-int8", Path("artifacts/default-int8")),
        ("s3://models/smol", S3Location(bucket="models", prefix="smol")),
        ("s3://models/smol/v1/", S3Location(bucket="models", prefix="smol/v1")),
        ("s3://models", S3Location(bucket="models", prefix="")),
        ("s3://my.models-1/a@b/c d", S3Location(bucket="my.models-1", prefix="a@b/c d")),
        (f"s3://models/smol@sha256:{DIGEST}", S3Location(bucket="models", prefix="smol", sha256=DIGEST)),
        (f"s3://models/smol/@sha256:{DIGEST}", S3Location(bucket="models", prefix="smol", sha256=DIGEST)),
    ],
)
def test_a_text_names_a_directory_or_a_place_in_s3(text: str, location: Path | S3Location) -> None:
    assert parse_location(text) == location


@pytest.mark.parametrize(
    "text",
    [
        "https://models.s3.amazonaws.com/smol",
        "s3:///smol",
        "s3://Models/smol",
        "s3://models/smol?versionId=1",
        "s3://models/smol@sha256:abc",
        f"s3://models/smol@sha256:{DIGEST.upper()}",
        f"s3://models/smol@sha256:{DIGEST}@sha256:{DIGEST}",
    ],
)
def test_what_names_no_location_is_told_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no location of a model: give a directory, s3://BUCKET/PREFIX, or"):
        parse_location(text)


def test_a_location_reads_as_it_was_written_and_names_its_objects() -> None:
    location = S3Location(bucket="models", prefix="smol/v1", sha256=DIGEST)
    assert parse_location(str(location)) == location
    assert location.key("manifest.json") == "smol/v1/manifest.json"
    assert S3Location(bucket="models", prefix="").key("manifest.json") == "manifest.json"
