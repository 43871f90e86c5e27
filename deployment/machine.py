"""What a deployment needs of this machine, asked before minutes are spent: AWS credentials and an engine."""

import shutil
import subprocess
from collections.abc import Iterator

# SAM CLI builds images with either.
ENGINES = ("docker", "finch")


def missing(profile: str | None) -> Iterator[str]:
    """What is not there, each with what would help. `profile`: the AWS CLI's, or None for its default."""
    if not any(_runs(engine) for engine in ENGINES):
        yield (
            "The image is built by Docker or Finch, and neither runs here: install and start one of them. `make plan`"
            " needs none"
        )
    if (problem := _without_credentials(profile)) is not None:
        yield problem


def _runs(engine: str) -> bool:
    if shutil.which(engine) is None:
        return False
    return subprocess.run([engine, "info"], capture_output=True, check=False).returncode == 0


def _without_credentials(profile: str | None) -> str | None:
    from boto3.session import Session
    from botocore.exceptions import BotoCoreError

    try:
        found = Session(profile_name=profile).get_credentials()
    except BotoCoreError as error:
        return f"AWS credentials: {error}"
    if found is None:
        return "There are no AWS credentials: run `aws configure sso`, or set AWS_ACCESS_KEY_ID and the like"
    return None
