"""Debian's buildah as the engine: no daemon, no registry needed, every RUN in a chroot.

Chroot isolation needs no container runtime and no network of its own. It is no fence against a hostile Dockerfile: this
one is ours. Images live below `.cache/image`, beside nobody else's.
"""

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from image_build import base, pip_configuration
from image_build.commands import Run, ask, show
from image_build.image import Image, image_from
from image_build.recipe import DOCKERFILE, ROOT, BuildError

STORAGE = ROOT / ".cache" / "image"
_DRIVERS = ("overlay", "vfs")


class Buildah:
    """`storage`: a directory for images."""

    def __init__(self, storage: Path = STORAGE, *, shown: Run = show, asked: Run = ask) -> None:
        self._storage = storage
        self._shown, self._asked = shown, asked
        self._driver = self._usable_driver()

    def build(self, tag: str, arguments: Mapping[str, str]) -> None:
        """Build handler/Dockerfile as `tag`, with this machine's way to packages. Raises BuildError."""
        # A Python without pip has no configuration of it.
        listing = self._asked([sys.executable, "-m", "pip", "config", "list"]) if find_spec("pip") else ""
        options = pip_configuration.chosen(listing)
        # Readable by us alone: an index may have a password.
        with tempfile.TemporaryDirectory(prefix="image-build-") as home:
            mounts = pip_configuration.furnish(Path(home), options)
            self._shown(
                self._command(
                    "bud",
                    "--isolation=chroot",
                    # A copy of the whole tree for every instruction is what layers cost without overlays.
                    f"--layers={json.dumps(self._driver == 'overlay')}",
                    f"--tag={tag}",
                    f"--file={DOCKERFILE}",
                    *(f"--build-arg={name}={value}" for name, value in arguments.items()),
                    *(f"--volume={source}:{target}" for source, target in mounts.items()),
                    str(ROOT),
                )
            )

    def base(self) -> str:
        """A base of Debian's packages, made unless it is there. Raises BuildError."""
        name = base.tag(base.mmdebstrap(Path("/")))
        if self._asked(self._command("images", "--quiet", "--filter", f"reference={name}")):
            return name
        container = self._asked(self._command("from", "scratch"))
        try:
            root = Path(self._asked(self._command("mount", container)))
            self._shown(base.mmdebstrap(root))
            environment = [f"--env={variable}={value}" for variable, value in base.ENVIRONMENT.items()]
            self._asked(self._command("config", *environment, container))
            self._asked(self._command("commit", "--quiet", container, name))
        finally:
            self._asked(self._command("rm", container))
        return name

    @contextlib.contextmanager
    def opened(self, tag: str) -> Iterator[Image]:
        """The image, mounted. Whoever writes to it writes to a layer that is thrown away."""
        container = self._asked(self._command("from", "--pull=false", tag))
        try:
            root = Path(self._asked(self._command("mount", container)))
            inspected = json.loads(self._asked(self._command("inspect", "--type=image", tag)))
            yield image_from(root, inspected["OCIv1"]["config"])
        finally:
            self._asked(self._command("rm", container))

    def _command(self, *words: str) -> list[str]:
        return [
            "buildah",
            f"--root={self._storage / 'storage'}",
            f"--runroot={self._storage / 'run'}",
            f"--storage-driver={self._driver}",
            *words,
        ]

    def _usable_driver(self) -> str:
        """The first that works here. Raises BuildError with what the last one said."""
        self._storage.mkdir(parents=True, exist_ok=True)
        for self._driver in _DRIVERS:
            try:
                self._asked(self._command("info"))
            except BuildError as error:
                said = error
            else:
                return self._driver
        raise said
