"""Docker as the engine, where buildah is not installed."""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from image_build.commands import Run, ask, show
from image_build.image import Image, image_from
from image_build.recipe import DEBIAN, DOCKERFILE, ROOT, BuildError


class Docker:
    """The engine behind the `docker` command."""

    def __init__(self, *, shown: Run = show, asked: Run = ask) -> None:
        self._shown, self._asked = shown, asked

    def build(self, tag: str, arguments: Mapping[str, str]) -> None:
        """Build handler/Dockerfile as `tag`. Raises BuildError."""
        self._shown(
            [
                "docker",
                "build",
                f"--tag={tag}",
                f"--file={DOCKERFILE}",
                *(f"--build-arg={name}={value}" for name, value in arguments.items()),
                str(ROOT),
            ]
        )

    def base(self) -> str:
        """Raises BuildError: Docker pulls the pinned base."""
        raise BuildError(f"BASE_IMAGE={DEBIAN} is made with buildah (apt-get install buildah mmdebstrap): leave it out")

    @contextlib.contextmanager
    def opened(self, tag: str) -> Iterator[Image]:
        """The image, copied to a directory for the time."""
        config = json.loads(self._asked(["docker", "image", "inspect", tag]))[0]["Config"]
        container = self._asked(["docker", "create", tag])
        try:
            with tempfile.TemporaryDirectory(prefix="image-build-") as directory:
                archive, root = Path(directory) / "image.tar", Path(directory) / "root"
                root.mkdir()
                self._asked(["docker", "export", f"--output={archive}", container])
                self._asked(["tar", "--extract", f"--file={archive}", f"--directory={root}", "--exclude=dev/*"])
                archive.unlink()
                yield image_from(root, config)
        finally:
            self._asked(["docker", "rm", container])
