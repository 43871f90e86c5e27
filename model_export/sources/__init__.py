"""Where checkpoints come from: an ordered table, one file per case."""

from typing import Protocol

from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.progress import Progress
from model_export.sources.directory import Directory
from model_export.sources.gguf import GgufFile
from model_export.sources.hub import HubRepository
from model_export.sources.package import DEFAULT, DefaultEmbeddingModel, DefaultModel

__all__ = ["DEFAULT", "SOURCES", "CheckpointSource", "load_checkpoint"]


class CheckpointSource(Protocol):
    """One form that SOURCE can take. `form` describes it to a person."""

    form: str

    def accepts(self, source: str) -> bool:
        """Whether `source` has this form."""
        ...

    def load(self, source: str, progress: Progress) -> Checkpoint:
        """The checkpoint; its tensors are read when they are asked for. Raises ExportError."""
        ...


SOURCES: tuple[CheckpointSource, ...] = (
    DefaultModel(),
    DefaultEmbeddingModel(),
    GgufFile(),
    Directory(),
    HubRepository(),
)


def load_checkpoint(source: str, progress: Progress) -> Checkpoint:
    """The checkpoint that `source` names, by the first row that accepts it. Raises ExportError."""
    for row in SOURCES:
        if row.accepts(source):
            return row.load(source, progress)
    raise ExportError(f"{source!r} is no source; give one of: {'; '.join(row.form for row in SOURCES)}")
