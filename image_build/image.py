"""A built image as it is read afterwards: a directory, and what its configuration says of running it."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """`root`: the root file system. The rest is the image's configuration."""

    root: Path
    environment: Mapping[str, str]
    command: Sequence[str]
    directory: str
    user: str


class Engine(Protocol):
    """What builds images."""

    def build(self, tag: str, arguments: Mapping[str, str]) -> None:
        """Build handler/Dockerfile as `tag`. Raises BuildError."""
        ...

    def base(self) -> str:
        """The name of a base made of Debian's packages, made if need be. Raises BuildError."""
        ...

    def opened(self, tag: str) -> AbstractContextManager[Image]:
        """The image, for as long as it is looked at."""
        ...


def image_from(root: Path, config: Mapping[str, Any]) -> Image:
    """`config`: as in the image specification of the Open Container Initiative, with `Env` and `Entrypoint`."""
    return Image(
        root=root,
        environment=dict(variable.split("=", 1) for variable in config.get("Env") or ()),
        command=(*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())),
        directory=config.get("WorkingDir") or "/",
        user=config.get("User") or "root",
    )
