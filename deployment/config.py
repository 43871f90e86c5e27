"""samconfig.toml: the stack's name, region and parameters, from the one place that every command of SAM reads."""

import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployment.errors import DeploymentError

SECTION = "[default.global.parameters]"
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
# Below it stands the block of what a user changes.
_HEADING = re.compile(rf"^{re.escape(SECTION)}\n", re.MULTILINE)
_REGION_LINE = re.compile(r"^#? ?region = .*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """`region` is None until somebody has chosen one; `profile` is the AWS CLI's, None for its default."""

    stack_name: str
    region: str | None
    profile: str | None
    parameters: Mapping[str, str]


def read_config(path: Path) -> Config:
    """What `path` says. Raises DeploymentError if it is missing, no TOML, or says things in two places."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeploymentError(f"{path} cannot be read: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise DeploymentError(f"{path} is not TOML: {error}") from None
    environment: dict[str, Any] = document.get("default", {})
    for command, section in environment.items():
        if command != "global":
            _only_in_global(path, command, section.get("parameters", {}))
    chosen = environment.get("global", {}).get("parameters", {})
    if not chosen.get("stack_name"):
        raise DeploymentError(f'{path}: {SECTION} needs stack_name = "…"')
    region = chosen.get("region")
    if region is not None:
        check_region(region)
    return Config(
        stack_name=chosen["stack_name"],
        region=region,
        profile=chosen.get("profile"),
        parameters=overrides(chosen.get("parameter_overrides", ())),
    )


def overrides(given: object) -> dict[str, str]:
    """Parameters from `["Name=value", …]` or from one string of them. Raises DeploymentError for anything else."""
    parts = [given] if isinstance(given, str) else given
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise DeploymentError('parameter_overrides takes a list of "Name=value"')
    found: dict[str, str] = {}
    for word in (word for part in parts for word in shlex.split(part)):
        name, separator, value = word.partition("=")
        if not separator or not name:
            raise DeploymentError(f'parameter_overrides has {word!r}: write "Name=value"')
        if name in found:
            raise DeploymentError(f"parameter_overrides has {name} twice")
        found[name] = value
    return found


def check_region(region: str) -> None:
    """Raises DeploymentError if `region` cannot be one."""
    if not _REGION.fullmatch(region):
        raise DeploymentError(f"{region!r} is not a region such as eu-central-1 or us-east-1")


def with_region(document: str, region: str) -> str:
    """The text of samconfig.toml with a region in its block, and nothing else changed."""
    check_region(region)
    line = f'region = "{region}"\n'
    if _REGION_LINE.search(document):
        return _REGION_LINE.sub(line, document, count=1)
    return _HEADING.sub(f"{SECTION}\n{line}", document, count=1)


def _only_in_global(path: Path, command: str, parameters: Mapping[str, Any]) -> None:
    """`sam deploy --guided` writes a second set of parameters, which hides the first from `sam deploy` only."""
    for name in ("parameter_overrides", "stack_name", "region"):
        if name in parameters:
            raise DeploymentError(
                f"{path}: {name} is in [default.{command}.parameters], which `sam build` and `sam deploy` would read"
                f" differently: move it to {SECTION}"
            )
