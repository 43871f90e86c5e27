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

NEEDED = "this exporter needs torch, transformers and optimum: pip install -r requirements/optimum.txt"


def load_model(checkpoint: Checkpoint, progress: Progress) -> Any:
    """A transformers model for causal language modelling in float32, in evaluation mode.

    Raises ExportError if torch is missing, transformers does not know the architecture, or weights are missing.
    """
    try:
        import torch
        import transformers
    except ImportError:
        raise ExportError(NEEDED) from None
    with quiet():
        config = _config(transformers, checkpoint)
        model_class: Any = transformers.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
        names = list(checkpoint.tensors)
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
    missing = sorted(found["missing_keys"])
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


def _config(transformers: Any, checkpoint: Checkpoint) -> Any:
    model_type = checkpoint.config.get("model_type")
    try:
        config = transformers.AutoConfig.for_model(**checkpoint.config)
        transformers.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    except (KeyError, TypeError, ValueError):
        raise ExportError(
            f"transformers {transformers.__version__} has no causal language model of type {model_type!r}:"
            " choose a checkpoint of an architecture that it knows"
        ) from None
    return config


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
