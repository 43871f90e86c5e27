"""The export, in order: source → exporter → verification → artefact."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from handler.manifest import ModelManifest
from model_export import direct
from model_export.checkpoint import Checkpoint
from model_export.embedding_verify import verify_embedding
from model_export.errors import ExportError
from model_export.package import describe, staging, write_tokenizer
from model_export.prefix import bake, read_opening
from model_export.progress import Progress
from model_export.recipes import Recipe
from model_export.sources import load_checkpoint
from model_export.verify import Build, verify

ExporterName = Literal["direct", "optimum"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to export, how and where to. `exporter` None: direct where it knows the architecture, else optimum.
    `context_window` None: what the model was trained for; in tokens. `prefix`: a file that says how every conversation
    begins."""

    source: str
    recipe: Recipe
    output: Path
    exporter: ExporterName | None = None
    name: str | None = None
    context_window: int | None = None
    prefix: Path | None = None


def export(request: ExportRequest, progress: Progress, environ: Mapping[str, str]) -> ModelManifest:
    """Runs the export and returns the manifest that now lies in `request.output`. Raises ExportError, and then
    `request.output` is what it was before."""
    opening = None if request.prefix is None else read_opening(request.prefix)
    with staging(request.output) as directory:
        checkpoint = load_checkpoint(request.source, progress)
        if opening is not None and checkpoint.embedding is not None:
            raise ExportError("an embedding model has no conversations that a prefix could begin: leave it out")
        window = context_window(_trained(checkpoint), request.context_window)
        exporter = request.exporter or ("direct" if _is_direct(checkpoint) else "optimum")
        build = _builder(exporter, checkpoint)
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
        manifest = _verified(draft, checkpoint, directory, request.recipe, build, progress)
        if opening is not None:
            manifest = bake(opening, checkpoint, manifest, directory, progress)
        manifest.write(directory)
    return manifest


def _verified(
    draft: ModelManifest, checkpoint: Checkpoint, directory: Path, recipe: Recipe, build: Build, progress: Progress
) -> ModelManifest:
    """The manifest with the measured quality."""
    if draft.embedding is None:
        quality = verify(
            checkpoint=checkpoint, manifest=draft, directory=directory, recipe=recipe, build=build, progress=progress
        )
        return draft.model_copy(update={"quality": quality})
    measured = verify_embedding(
        checkpoint=checkpoint,
        manifest=draft,
        embedding=draft.embedding,
        directory=directory,
        recipe=recipe,
        build=build,
        progress=progress,
    )
    return draft.model_copy(update={"embedding": draft.embedding.model_copy(update={"quality": measured})})


def _trained(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """The config; an embedding model may have been trained for fewer positions than it has."""
    if checkpoint.embedding is None:
        return checkpoint.config
    return {"max_position_embeddings": checkpoint.embedding.window}


def _is_direct(checkpoint: Checkpoint) -> bool:
    """The direct exporter builds decoders."""
    return checkpoint.embedding is None and direct.supports(checkpoint.config)


def _builder(exporter: ExporterName, checkpoint: Checkpoint) -> Build:
    if exporter == "direct":
        if checkpoint.embedding is not None:
            raise ExportError("the direct exporter builds no embedding models: use --exporter optimum")
        return direct.build
    # Imported by name, so that this one never costs the other the import of torch.
    build: Build = importlib.import_module("model_export.optimum_exporter").build
    return build


# What configs call the number of positions that the model was trained for: most, GPT-2's family, MPT.
_WINDOW_KEYS = ("max_position_embeddings", "n_positions", "max_seq_len")


def context_window(config: Mapping[str, Any], wanted: int | None) -> int:
    """The artefact's window in tokens: what `config` says the model was trained for, or the shorter `wanted`.

    Raises ExportError where `wanted` is longer, or neither says anything.
    """
    trained = next((int(config[key]) for key in _WINDOW_KEYS if config.get(key)), None)
    if trained is None:
        if wanted is None:
            raise ExportError("config.json does not say how long a context the model takes: give a --context-window")
        return wanted
    if wanted is not None and wanted > trained:
        raise ExportError(f"the model was trained for {trained} tokens: give a --context-window up to that")
    return wanted or trained
