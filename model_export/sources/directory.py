"""A local checkpoint directory, as transformers' `save_pretrained` writes it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handler.manifest import GenerationDefaults, Source
from model_export.checkpoint import Checkpoint
from model_export.end_tokens import end_token_ids
from model_export.errors import ExportError
from model_export.progress import Progress
from model_export.sources.embedding_files import lower_cased, read_embedding_files
from model_export.sources.files import damage_reported, read_json, read_optional_json
from model_export.sources.safetensors import INDEX, SINGLE, SafetensorsStore
from model_export.sources.tokenizer_files import read_tokenizer_files

_CONFIG = "config.json"
_MODEL_CARD = "README.md"
_LICENSE = re.compile(r"\A---\n(?:.*\n)*?license:[ \t]*(\S+)[ \t]*\n(?:.*\n)*?---", re.MULTILINE)


class Directory:
    """SOURCE is a directory that holds config.json, safetensors and tokenizer.json."""

    form = "a checkpoint directory (config.json, *.safetensors, tokenizer.json)"

    def accepts(self, source: str) -> bool:
        return source != "" and Path(source).is_dir()

    def load(self, source: str, progress: Progress) -> Checkpoint:
        directory = Path(source).resolve()
        with progress.phase("read"):
            return directory_checkpoint(
                directory, name=directory.name, source=Source(kind="directory", id=directory.name)
            )


def directory_checkpoint(directory: Path, *, name: str, source: Source) -> Checkpoint:
    """The checkpoint in `directory`. Raises ExportError for what is missing, damaged or of an unsupported format."""
    with damage_reported(directory):
        return _checkpoint(directory, name, source)


def _checkpoint(directory: Path, name: str, source: Source) -> Checkpoint:
    if not (directory / _CONFIG).exists():
        raise ExportError(f"{directory} has no {_CONFIG}: give a checkpoint directory as save_pretrained writes it")
    config = read_json(directory / _CONFIG)
    _refuse_quantized(directory, config)
    _refuse_other_formats(directory)
    generation = read_optional_json(directory / "generation_config.json")
    tokenizer = read_tokenizer_files(directory)
    embedding = read_embedding_files(directory, config)
    tokenizer_json = tokenizer.tokenizer_json
    if embedding is not None and embedding.lower_case:
        tokenizer_json = lower_cased(tokenizer_json)
    bos, eos = (tokenizer.special_tokens.get(f"{kind}_token", "") for kind in ("bos", "eos"))
    declared_ends = generation.get("eos_token_id"), config.get("eos_token_id"), tokenizer.token_ids.get(eos)
    return Checkpoint(
        name=name,
        source=source,
        config=config,
        tensors=SafetensorsStore(directory),
        tokenizer_json=tokenizer_json,
        chat_template=tokenizer.chat_template,
        special_tokens=tokenizer.special_tokens,
        end_token_ids=end_token_ids(declared_ends, tokenizer_json) if embedding is None else (),
        bos_token_id=tokenizer.token_ids.get(bos, config.get("bos_token_id")),
        generation_defaults=GenerationDefaults(
            **{key: generation[key] for key in GenerationDefaults.model_fields if key in generation}
        ),
        license=_license(directory),
        embedding=embedding,
    )


def _refuse_quantized(directory: Path, config: Mapping[str, Any]) -> None:
    quantization = config.get("quantization_config")
    if quantization:
        method = quantization.get("quant_method", "an unknown method")
        raise ExportError(f"{directory} is quantized by {method}: export from the unquantized checkpoint")


def _refuse_other_formats(directory: Path) -> None:
    if (directory / SINGLE).exists() or (directory / INDEX).exists():
        return
    if any(directory.glob("pytorch_model*.bin*")):
        raise ExportError(
            f"{directory} holds pytorch_model.bin and no safetensors: convert it with transformers,"
            " AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(DIR)"
        )
    raise ExportError(f"{directory} has no {SINGLE} and no {INDEX}: download the checkpoint's weights")


def _license(directory: Path) -> str | None:
    """What the model card's front matter says."""
    card = directory / _MODEL_CARD
    match = _LICENSE.match(card.read_text(encoding="utf-8", errors="replace")) if card.exists() else None
    return match[1] if match else None
