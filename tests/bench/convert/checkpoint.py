"""The default model as `save_pretrained` writes it, in float32: what every converter takes."""

import sys
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from model_export.optimum_exporter.torch_model import load_model
from model_export.progress import Stopwatch
from model_export.sources import DEFAULT, load_checkpoint


def write(directory: Path) -> None:
    checkpoint = load_checkpoint(DEFAULT, Stopwatch())
    load_model(checkpoint, Stopwatch()).save_pretrained(directory)
    tokenizer_file = directory / "tokenizer.json"
    tokenizer_file.write_text(checkpoint.tokenizer_json)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(tokenizer_file), **checkpoint.special_tokens)
    tokenizer.chat_template = checkpoint.chat_template
    tokenizer.save_pretrained(directory)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
