"""An exported model's files at whatever location: the manifest at once, the files when they are asked for.

A source reads the manifest only, so that many models can be listed for little. What `fetch` returns is used and then
closed: who has loaded a model from its files needs them no more.
"""

from pathlib import Path
from typing import Protocol

from handler.artifact import verify_files
from handler.manifest import ModelManifest


class ModelFiles(Protocol):
    """The files on their way. Thread-safe."""

    @property
    def fetched(self) -> int | None:
        """Bytes that have come from elsewhere so far; None: nothing has to."""

    @property
    def directory(self) -> Path:
        """Where they lie, each under the name that it has in the manifest, once it has come."""

    def wait(self, *names: str) -> None:
        """Returns when these files, or all if none is named, can be read. Raises ArtifactError if that cannot be."""

    def verify(self) -> None:
        """Returns when every file is known to be the one of the manifest. Raises ArtifactError naming one that is not.

        A model may be loaded meanwhile, but must not serve before.
        """

    def close(self) -> None:
        """The files are needed no more; what has been loaded or mapped from them stays."""


class ModelSource(Protocol):
    """One exported model."""

    @property
    def manifest(self) -> ModelManifest: ...

    @property
    def in_memory(self) -> bool:
        """Whether its files lie in memory, and most of them for as long as the model is loaded."""

    def fetch(self) -> ModelFiles:
        """Begins to make the files available, and returns at once."""


class DirectorySource:
    """A model in a directory. Both a `ModelSource` and its `ModelFiles`: the files are there."""

    in_memory = False

    def __init__(self, directory: Path) -> None:
        """Raises ArtifactError if the directory holds no manifest that this server reads."""
        self.directory = directory
        self.manifest = ModelManifest.read(directory)
        self.fetched: int | None = None

    def fetch(self) -> "DirectorySource":
        return self

    def wait(self, *names: str) -> None:
        """What is missing, its reader says."""

    def verify(self) -> None:
        verify_files(self.directory, self.manifest, full=True)

    def close(self) -> None:
        """They stay where they are."""
