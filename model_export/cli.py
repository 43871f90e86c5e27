"""The command line: arguments in, a closing table out, one line for every error."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from handler.errors import EndpointError
from handler.manifest import EmbeddingQuality, ModelManifest, Quality
from model_export.errors import ExportError
from model_export.export import ExportRequest, export
from model_export.progress import Progress, console_progress
from model_export.recipes import DEFAULT as DEFAULT_RECIPE
from model_export.recipes import RECIPES, get_recipe
from model_export.sources import DEFAULT as DEFAULT_SOURCE
from model_export.sources import SOURCES
from model_export.table import columns, size

_FAILED, _INTERRUPTED = 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `python -m model_export`; returns the exit code."""
    options = _parser().parse_args(arguments)
    progress = console_progress(sys.stderr)
    try:
        request = ExportRequest(
            source=options.source,
            recipe=get_recipe(options.recipe),
            output=options.output,
            exporter=None if options.exporter == "auto" else options.exporter,
            name=options.name,
            context_window=options.context_window,
            prefix=options.prefix,
        )
        manifest = export(request, progress, os.environ)
    except (ExportError, EndpointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        print("interrupted: nothing was changed", file=sys.stderr)
        return _INTERRUPTED
    print(summary(manifest, request.output, progress))
    return 0


def summary(manifest: ModelManifest, output: Path, progress: Progress) -> str:
    """The closing table: files and size, quality, time."""
    total = sum(entry.size for entry in manifest.files.values())
    seconds = progress.seconds
    measured = None if manifest.embedding is None else manifest.embedding.quality
    parts = [
        f"{manifest.name}: {manifest.architecture}, {manifest.recipe}, {manifest.exporter} → {output}",
        columns([*((name, size(entry.size)) for name, entry in manifest.files.items()), ("total", size(total))]),
        *([] if manifest.prefix is None else [columns([("prefix", f"{manifest.prefix.tokens} tokens")])]),
        *([] if manifest.quality is None else [_quality(manifest.quality)]),
        *([] if measured is None else [_embedding_quality(measured)]),
        columns(
            [
                *((name, f"{spent:.1f} s") for name, spent in seconds.items()),
                ("total", f"{sum(seconds.values()):.1f} s"),
            ]
        ),
    ]
    return "\n\n".join(parts)


def _quality(quality: Quality) -> str:
    ratio = quality.perplexity / quality.reference_perplexity
    return columns(
        [
            ("perplexity", f"{quality.perplexity:.2f} (fp32: {quality.reference_perplexity:.2f}, ratio {ratio:.3f})"),
            ("KL from fp32", f"mean {quality.mean_kl:.4f}, max {quality.max_kl:.3f} nats"),
            ("top-1 agreement", f"{quality.top1_agreement:.1%} of {quality.tokens} tokens"),
            ("greedy answer", " ".join(quality.greedy_chat.split())),
        ]
    )


def _embedding_quality(quality: EmbeddingQuality) -> str:
    cosine = f"mean {quality.mean_cosine:.5f}, least {quality.min_cosine:.5f} of {quality.texts} texts"
    return columns([("cosine with fp32", cosine)])


def _recipes() -> str:
    return columns([(name, recipe.description) for name, recipe in RECIPES.items()])


def _parser() -> argparse.ArgumentParser:
    forms = "\n".join(f"  {row.form}" for row in SOURCES)
    indented = "\n".join(f"  {line}" for line in _recipes().splitlines())
    parser = argparse.ArgumentParser(
        prog="python -m model_export",
        description="Turns a checkpoint into a verified directory that the endpoint serves.",
        epilog=f"SOURCE is one of\n{forms}\n\nRECIPE is one of\n{indented}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("source", nargs="?", default=DEFAULT_SOURCE, metavar="SOURCE", help="what to export (below)")
    parser.add_argument(
        "--recipe", default=DEFAULT_RECIPE, metavar="RECIPE", help="how to store it; default %(default)s"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", required=True, help="replaced if it is an export")
    parser.add_argument(
        "--exporter",
        choices=["auto", "direct", "optimum"],
        default="auto",
        help="auto: direct (seconds, no torch) where it knows the architecture, else optimum",
    )
    parser.add_argument("--name", help="the id that the API serves the model under; default the checkpoint's name")
    parser.add_argument("--context-window", type=_positive, metavar="TOKENS", help="serve a smaller window")
    parser.add_argument(
        "--prefix",
        type=Path,
        metavar="FILE",
        help="how every conversation begins, run now instead of at each start: the text of a system prompt, or a .json"
        " with messages and perhaps tools",
    )
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value
