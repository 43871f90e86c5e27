"""The export, in order: source → exporter → verification → artefact."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from handler.manifest import ModelManifest
from model_export import direct
from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.package import describe, staging, write_tokenizer
from model_export.progress import Progress
from model_export.recipes import Recipe
from model_export.sources import load_checkpoint
from model_export.verify import Build, verify

ExporterName = Literal["direct", "optimum"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to export, how and where to. `exporter` None: direct where it knows the architecture, else optimum.
    `context_window` None: what the model was trained for; in tokens."""

    source: str
    recipe: Recipe
    output: Path
    exporter: ExporterName | None = None
    name: str | None = None
    context_window: int | None = None


def export(request: ExportRequest, progress: Progress, environ: Mapping[str, str]) -> ModelManifest:
    """Runs the export and returns the manifest that now lies in `request.output`. Raises ExportError, and then
    `request.output` is what it was before."""
    with staging(request.output) as directory:
        checkpoint = load_checkpoint(request.source, progress)
        window = _context_window(checkpoint, request.context_window)
        exporter = request.exporter or ("direct" if direct.supports(checkpoint.config) else "optimum")
        build = _builder(exporter)
        graph = build(checkpoint, request.recipe, directory, progress)
        write_tokenizer(checkpoint, directory)
        draft = describe(
            checkpoint,
            graph,
            directory,
            progress,
            name=request.name,
            exporter=exporter,
            recipe=request.recipe.name,
            context_window=window,
            environ=environ,
        )
        quality = verify(
            checkpoint=checkpoint,
            manifest=draft,
            directory=directory,
            recipe=request.recipe,
            build=build,
            progress=progress,
        )
        manifest = draft.model_copy(update={"quality": quality})
        manifest.write(directory)
    return manifest


def _builder(exporter: ExporterName) -> Build:
    if exporter == "direct":
        return direct.build
    # Imported by name, so that this one never costs the other the import of torch.
    build: Build = importlib.import_module("model_export.optimum_exporter").build
    return build


def _context_window(checkpoint: Checkpoint, wanted: int | None) -> int:
    trained: int = checkpoint.config["max_position_embeddings"]
    if wanted is not None and wanted > trained:
        raise ExportError(f"the model was trained for {trained} tokens: give a --context-window up to that")
    return wanted or trained
