"""The same checkpoint in each system's form, made once under `.cache/bench/models/` by the system's own converter.

All begin from the default model, whose shipped file holds 4-bit weights (Q4_1). As float32 they are the reference; what
is "8 bit" is quantized from that, and what is "4 bit" is quantized a second time, but for the shipped file itself.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.bench.command import Missing
from tests.bench.environments import CACHE, python, run
from tests.models import exported

_MODELS = CACHE / "models"


def prepared(name: str) -> Path:
    """The directory or file of `name`. Raises Missing if its converter cannot be had or fails."""
    if name in _OURS:
        return exported("default", name)
    path = _MODELS / name
    if not path.exists():
        print(f"Preparing {name} (once)", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{name}.partial")
        _remove(partial)
        _PREPARE[name](partial)
        if not partial.exists():
            raise Missing(f"the converter of {name} wrote nothing")
        partial.rename(path)
    return path


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _tool(environment: str, module: str, *arguments: str) -> None:
    run([str(python(environment)), "-m", module, *arguments], f"{module} failed")


def _convert(environment: str, form: str) -> Callable[[Path], None]:
    """By our own small converter `tests/bench/convert/FORM.py`, from the checkpoint directory."""
    return lambda path: _tool(environment, f"tests.bench.convert.{form}", str(prepared("checkpoint")), str(path))


def _gguf(kind: str) -> Callable[[Path], None]:
    return lambda path: _tool("llama.cpp", "tests.bench.convert.gguf", str(prepared("q4_1")), str(path), kind)


def _openvino(bits: str) -> Callable[[Path], None]:
    return lambda path: _tool("openvino", "tests.bench.convert.openvino", str(prepared("checkpoint")), str(path), bits)


def _genai(path: Path) -> None:
    _tool(
        "onnxruntime-genai",
        "onnxruntime_genai.models.builder",
        *("-i", str(prepared("checkpoint")), "-o", str(path), "-p", "int4", "-e", "cpu"),
        *("-c", str(CACHE / "genai-cache"), "--extra_options", "int4_accuracy_level=4"),
    )


_OURS = ("fp32", "int8", "int8-blocks", "int4")

_PREPARE: Mapping[str, Callable[[Path], None]] = {
    "checkpoint": lambda path: _tool("", "tests.bench.convert.checkpoint", str(path)),
    "q4_1": lambda path: _tool("", "tests.bench.convert.shipped", str(path)),
    "q8_0": _gguf("Q8_0"),
    "q4_0": _gguf("Q4_0"),
    "openvino-int8": _openvino("int8"),
    "openvino-int4": _openvino("int4"),
    "genai-int4": _genai,
    "optimum-fp32": _convert("", "optimum_fp32"),
    "optimum-int8": lambda path: _tool(
        "", "tests.bench.convert.optimum_int8", str(prepared("optimum-fp32")), str(path)
    ),
}
