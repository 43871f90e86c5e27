"""torch model → traced graph → weights by the recipe → optimised offline → files and their description."""

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import onnx
import onnxruntime

from handler import manifest
from handler.manifest import Graph, TensorSpec
from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.optimum_exporter.external_data import write_model
from model_export.optimum_exporter.torch_model import NEEDED, load_model, quiet
from model_export.optimum_exporter.weights import store
from model_export.progress import Progress
from model_export.recipes import Recipe

FILE_NAME = "model.onnx"
_DECODER, _ENCODER = "text-generation-with-past", "feature-extraction"
_FED = frozenset({manifest.INPUT_IDS, manifest.ATTENTION_MASK, manifest.POSITION_IDS, manifest.TYPE_IDS})


def build(checkpoint: Checkpoint, recipe: Recipe, directory: Path, progress: Progress) -> Graph:
    """Writes `model.onnx` and `model.onnx.data` into `directory`; the graph has the "growing" KV layout, and that of an
    embedding model none.

    Raises ExportError if torch or optimum is missing, or optimum does not know the architecture.
    """
    with tempfile.TemporaryDirectory(prefix="optimum-", dir=directory) as name:
        scratch = Path(name)
        traced = scratch / "traced.onnx"
        _trace(checkpoint, traced, progress)
        model = onnx.load(traced)
        store(model, recipe, progress)
        with progress.phase("optimise graph"):
            write_model(model, scratch / "stored.onnx")
            del model
            optimised = scratch / "optimised.onnx"
            _optimise(scratch / "stored.onnx", optimised)
            model = onnx.load(optimised)
            write_model(model, directory / FILE_NAME)
    inputs, outputs = (tuple(map(_spec, values)) for values in (model.graph.input, model.graph.output))
    unknown = [spec.name for spec in inputs if spec.name not in _FED and not spec.name.startswith("past_key_values.")]
    if unknown:
        raise ExportError(f"the traced graph takes {', '.join(unknown)}, which no server feeds: choose another model")
    layout: Literal["growing", "none"] = "growing" if checkpoint.embedding is None else "none"
    return Graph(file=FILE_NAME, kv_layout=layout, inputs=inputs, outputs=outputs)


def _trace(checkpoint: Checkpoint, path: Path, progress: Progress) -> None:
    """torch's trace of the model, as optimum's config for the architecture lays out inputs and outputs."""
    try:
        with quiet():
            from optimum.exporters.onnx import export
            from optimum.exporters.tasks import TasksManager
    except ImportError:
        raise ExportError(NEEDED) from None
    model_type = checkpoint.config.get("model_type")
    task = _DECODER if checkpoint.embedding is None else _ENCODER
    try:
        tasks: Collection[str] = TasksManager.get_supported_tasks_for_model_type(
            model_type, "onnx", library_name="transformers"
        )
    except KeyError:
        tasks = ()
    if task not in tasks:
        raise ExportError(f"optimum has no exporter for models of type {model_type!r}: choose another architecture")
    model = load_model(checkpoint, progress)
    model.config.use_cache = task == _DECODER
    with progress.phase("trace with torch"), quiet():
        constructor = TasksManager.get_exporter_config_constructor(
            exporter="onnx", model=model, task=task, library_name="transformers"
        )
        past = {"use_past": True, "use_past_in_inputs": True} if task == _DECODER else {}
        export(model, constructor(model.config, **past), path)


def _optimise(source: Path, target: Path) -> None:
    """Fuses and folds once, here: the server loads graphs as they are. "Extended" stays portable between processors."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", target.name + ".data")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _spec(value: Any) -> TensorSpec:
    tensor = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    shape = tuple(size.dim_param or size.dim_value for size in tensor.shape.dim)
    return TensorSpec.model_validate({"name": value.name, "dtype": dtype, "shape": shape})
