"""Opens ONNX Runtime sessions. The only place that chooses session options."""

import os
from pathlib import Path

import onnxruntime

from handler.errors import ArtifactError
from handler.memory_files import in_memory
from handler.ort.in_memory import open_in_memory

# How long a thread spins for want of work: longer than a pause between two tokens of a stream. The default is long
# enough to keep a core busy while the session is made, where the rest of a start wants it.
_SPIN_US = 2000


def open_session(
    path: Path, *, threads: int, spinning: bool = True, library: Path | None = None
) -> onnxruntime.InferenceSession:
    """Loads a graph with `threads` threads per step (0: one per CPU that this process may use).

    `spinning`: whether they wait for the next operator on the CPU. `library`: of operators that the graph needs beside
    ONNX Runtime's.

    Raises ArtifactError naming the file if the graph or its weights are missing or damaged, or the library is no such.
    """
    options = onnxruntime.SessionOptions()
    # Threads spin between operators, as is the default: a decode step is hundreds of short ones, and a Lambda that
    # answers has no better use for its CPUs. Flash attention stays on too: on AVX2 it costs and saves nothing.
    options.intra_op_num_threads = threads or _cpus()
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(_SPIN_US))
    # Exported graphs are in the form that runs. Optimising again would cost a third of the start-up and split the
    # tensor that embedding and head share.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4  # fatal only: what goes wrong is raised, and said once
    if library is not None:
        _register(library, options)
    try:
        if in_memory(path):
            return open_in_memory(path, options)
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except ArtifactError:
        raise
    except Exception as error:  # onnxruntime's own classes have no other base in common
        reason = str(error).splitlines()[0]
        again = "export the model again" + (", or `python -m kernels.build` anew" if library is not None else "")
        raise ArtifactError(f"{path} cannot be loaded ({reason}): {again}") from None


def _register(library: Path, options: onnxruntime.SessionOptions) -> None:
    try:
        options.register_custom_ops_library(str(library))
    except Exception as error:  # of no class of its own, as above
        reason = str(error).splitlines()[0]
        raise ArtifactError(
            f"{library} cannot be loaded ({reason}): build it again with `python -m kernels.build`, or remove it"
        ) from None


def _cpus() -> int:
    """CPUs that this process may use; where the system cannot tell, those that there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
