"""A checkpoint as a torch model. The only importer of torch and transformers, none of which an ordinary export needs.

The weights go from the checkpoint to torch in memory: no directory is written, and nothing is looked up on a hub.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.progress import Progress

_BUFFER = ".position_ids"  # old checkpoints keep the numbers 0, 1, 2, … among their weights

NEEDED = "this exporter needs torch, transformers and optimum: pip install -r requirements/optimum.txt"


def load_model(checkpoint: Checkpoint, progress: Progress) -> Any:
    """A transformers model in float32, in evaluation mode: for causal language modelling, or of an embedding model the
    encoder alone.

    Raises ExportError if torch is missing, transformers does not know the architecture, or weights are missing.
    """
    try:
        import torch
        import transformers
    except ImportError:
        raise ExportError(NEEDED) from None
    with quiet():
        config, model_class = _config(transformers, checkpoint)
        names = [name for name in checkpoint.tensors if not name.endswith(_BUFFER)]
        weights = {}
        with progress.phase("load weights", total=len(names), unit="tensor") as step:
            for name in names:
                weights[name] = torch.from_numpy(checkpoint.tensors.load(name).copy())
                step(1)
        try:
            model, found = model_class.from_pretrained(
                None, config=config, state_dict=weights, dtype=torch.float32, output_loading_info=True
            )
        except (RuntimeError, ValueError) as error:
            raise ExportError(
                f"transformers cannot load these weights ({_first_line(error)}): mend the checkpoint"
            ) from None
    missing = sorted(name for name in found["missing_keys"] if not _unused(name, checkpoint))
    if missing:
        raise ExportError(f"the checkpoint holds no {missing[0]} ({len(missing)} missing): download it again")
    return model.eval()


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps transformers, optimum and torch from talking: what matters is raised or shown by our own progress."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _config(transformers: Any, checkpoint: Checkpoint) -> tuple[Any, Any]:
    """The config and the class of model that it is for."""
    decoder = checkpoint.embedding is None
    model_type, kind = checkpoint.config.get("model_type"), "causal language model" if decoder else "encoder"
    try:
        config = transformers.AutoConfig.for_model(**checkpoint.config)
        classes = transformers.MODEL_FOR_CAUSAL_LM_MAPPING if decoder else transformers.MODEL_MAPPING
        model_class = classes[type(config)]
    except (KeyError, TypeError, ValueError):
        raise ExportError(
            f"transformers {transformers.__version__} has no {kind} of type {model_type!r}:"
            " choose a checkpoint of an architecture that it knows"
        ) from None
    return config, model_class


def _unused(name: str, checkpoint: Checkpoint) -> bool:
    """A pooler looks at the first token after the last layer: what embeds reads that layer itself."""
    return checkpoint.embedding is not None and name.startswith("pooler.")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
