"""What botocore raises while a model is read: an attempt that may be made again, or what the operator has to mend."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from handler.errors import ArtifactError, ConfigurationError
from handler.location import S3Location

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_FORBIDDEN, _NOT_FOUND, _BEYOND, _TOO_MANY, _FAULT = 403, 404, 416, 429, 500
# S3's codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_PASSING = frozenset({"RequestTimeout", "SlowDown", "Throttling"})
_ELSEWHERE = frozenset({"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "301", "307"})


class Interrupted(Exception):
    """A read that broke off, or never began: the same again may succeed. The message says why."""


class Damaged(Interrupted):
    """Bytes that are not those of the manifest."""


def given_up(url: str, attempts: int, error: Interrupted) -> ConfigurationError:
    """What is told when patience is at its end."""
    if isinstance(error, Damaged):
        return ArtifactError(f"{url}: {error}, {attempts} times: publish the model again, to a prefix of its own")
    return ConfigurationError(
        f"{url} could not be read in {attempts} attempts (at last: {error}): let the function reach S3 (in a VPC, by a"
        " gateway endpoint), or put the model into the image"
    )


@contextmanager
def reading(location: S3Location, name: str) -> Iterator[None]:
    """Raises, for what is raised in the block, Interrupted, ArtifactError (not there) or ConfigurationError."""
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    broken = (
        exceptions.HTTPClientError,
        exceptions.ConnectionError,
        exceptions.FlexibleChecksumError,
        exceptions.IncompleteReadError,
        ResponseParserError,
        OSError,
    )

    url = location.url(name)
    try:
        yield
    except exceptions.ClientError as error:
        raise _refusal(error, location, name) from None
    except broken as error:
        raise Interrupted(type(error).__name__) from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
        raise ConfigurationError(
            f"{url} cannot be read without AWS credentials: give the function a role that allows"
            f" {_permission(location)}, or a laptop AWS_PROFILE"
        ) from None
    except exceptions.BotoCoreError as error:
        raise ConfigurationError(f"{url} cannot be read: {error}") from None


def _refusal(error: "ClientError", location: S3Location, name: str) -> Exception:
    url = location.url(name)
    code = str(error.response.get("Error", {}).get("Code", ""))
    answer = error.response.get("ResponseMetadata", {})
    status = int(answer.get("HTTPStatusCode", 0))
    if status >= _FAULT or status == _TOO_MANY or code in _PASSING:
        return Interrupted(f"{status} {code}")
    if code == "NoSuchBucket":
        return ConfigurationError(f"There is no bucket {location.bucket}: name the one that the model was published to")
    if code in _ELSEWHERE:
        region = answer.get("HTTPHeaders", {}).get("x-amz-bucket-region", "the bucket's region")
        return ConfigurationError(f"{url} lies in another region: set AWS_REGION to {region}")
    if status == _NOT_FOUND:
        return ArtifactError(f"{url} is missing: publish the model with `make publish TO={location.unpinned}`")
    if status == _BEYOND:
        return ArtifactError(f"{url} is shorter than its manifest says: publish the model again")
    if status == _FORBIDDEN:
        return ConfigurationError(
            f"S3 refuses to read {url} ({code}): allow {_permission(location)}, and s3:ListBucket to be told of missing"
            " objects"
        )
    return ConfigurationError(f"S3 does not read {url} ({status} {code}): see its list of error codes")


def _permission(location: S3Location) -> str:
    return f"s3:GetObject on arn:aws:s3:::{location.bucket}/{location.key('*')}"
