"""The artefact: a staging directory that becomes the output in one move, and the manifest that describes it.

Nothing is lost on a failure: the output keeps what it held until the new artefact is complete and verified.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from handler.artifact import describe_file
from handler.manifest import FILE_NAME, LAST_HIDDEN_STATE, Embedding, Graph, ModelManifest
from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.progress import BYTES, Progress

_TOKENIZER = "tokenizer.json"
_CHAT_TEMPLATE = "chat_template.jinja"
_PUBLIC = 0o755  # mkdtemp's directories are private; a Lambda image is read by another user than built it


@contextmanager
def staging(output: Path) -> Iterator[Path]:
    """An empty directory beside `output`; takes its place when the block ends well, and vanishes when it does not.

    Raises ExportError, before the block runs, if `output` holds something that is not an exported model.
    """
    output = output.resolve()  # of a link, the directory that it points to is replaced
    if output.exists() and not _replaceable(output):
        raise ExportError(f"{output} exists and is no exported model: give another directory, or remove it")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    except OSError as error:
        raise ExportError(f"{output} cannot be written ({error.strerror}): give another directory") from None
    try:
        yield stage
        stage.chmod(_PUBLIC)
        _swap(stage, output)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def write_tokenizer(checkpoint: Checkpoint, directory: Path) -> None:
    """Writes tokenizer.json and, where there is one, the chat template."""
    (directory / _TOKENIZER).write_text(checkpoint.tokenizer_json, encoding="utf-8")
    if checkpoint.chat_template is not None:
        (directory / _CHAT_TEMPLATE).write_text(checkpoint.chat_template, encoding="utf-8")


def describe(
    checkpoint: Checkpoint,
    graph: Graph,
    directory: Path,
    progress: Progress,
    *,
    name: str | None,
    exporter: Literal["direct", "optimum"],
    recipe: str,
    context_window: int,
    environ: Mapping[str, str],
) -> ModelManifest:
    """The manifest of what `directory` holds, every file hashed; its quality is not measured yet.

    `created` is now, or SOURCE_DATE_EPOCH where the environment has it: the same export twice gives the same bytes.
    """
    paths = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != FILE_NAME)
    with progress.phase("hash", total=sum(path.stat().st_size for path in paths), unit=BYTES) as step:
        files = {path.relative_to(directory).as_posix(): describe_file(path, step) for path in paths}
    return ModelManifest(
        name=name or checkpoint.name,
        created=_created(environ),
        source=checkpoint.source,
        license=checkpoint.license,
        architecture=checkpoint.config["architectures"][0],
        exporter=exporter,
        recipe=recipe,
        context_window=context_window,
        vocab_size=checkpoint.config["vocab_size"],
        bos_token_id=checkpoint.bos_token_id,
        end_token_ids=checkpoint.end_token_ids,
        graph=graph,
        tokenizer_file=_TOKENIZER,
        chat_template_file=None if checkpoint.chat_template is None else _CHAT_TEMPLATE,
        special_tokens=dict(checkpoint.special_tokens),
        generation_defaults=checkpoint.generation_defaults,
        embedding=_embedding(checkpoint, graph),
        files=files,
    )


def _embedding(checkpoint: Checkpoint, graph: Graph) -> Embedding | None:
    if checkpoint.embedding is None:
        return None
    hidden = next(spec for spec in graph.outputs if spec.name == LAST_HIDDEN_STATE)
    return Embedding(
        pooling=checkpoint.embedding.pooling,
        normalize=checkpoint.embedding.normalize,
        dimensions=int(hidden.shape[-1]),
    )


def _created(environ: Mapping[str, str]) -> int:
    fixed = environ.get("SOURCE_DATE_EPOCH", "")
    if fixed and not fixed.isdecimal():
        raise ExportError(f"SOURCE_DATE_EPOCH is {fixed!r}: set it to Unix seconds, or unset it")
    return int(fixed or time.time())


def _replaceable(output: Path) -> bool:
    return output.is_dir() and ((output / FILE_NAME).is_file() or not any(output.iterdir()))


def _swap(stage: Path, output: Path) -> None:
    if not output.exists():
        stage.rename(output)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    output.replace(old)  # a directory may be renamed onto an empty one
    try:
        stage.rename(output)
    except OSError:
        old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)
