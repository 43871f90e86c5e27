"""What is in the built image, and what is not. Run by `make test-image`: building takes minutes."""

import json
import platform
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from image_build import pip_configuration, sizes
from image_build.commands import ask
from image_build.image import Image
from kernels.build import build, built_for
from tests.image.jail import jailed

COMPILER = re.compile(
    r"(.*-)?(gcc|g\+\+|cpp|c\+\+|cc|tcc|clang|clang\+\+|ld|as|make|cmake|rustc|cargo|go|zig)(-[0-9.]+)?"
)
NEVER = {
    *("torch", "optimum", "transformers", "onnx", "gguf", "safetensors", "pytest", "hypothesis", "moto", "openai"),
    *("ziglang", "kernels"),
    *("model_export", "lambda_local", "image_build", "tests", "requirements", "huggingface_hub"),
}
# Of the whole tree, by the image's own Python: what does not have unchecked bytecode of the very source beside it.
WITHOUT_BYTECODE = """
import importlib.util, json, pathlib
def stale(source):
    cached = pathlib.Path(importlib.util.cache_from_source(str(source)))
    if not cached.exists():
        return True
    head = cached.read_bytes()[:16]
    flags = int.from_bytes(head[4:8], "little")
    return flags != 1 or head[8:] != importlib.util.source_hash(source.read_bytes())
sources = [path for place in ("/opt/python", "/var/task") for path in pathlib.Path(place).rglob("*.py")]
print(json.dumps([len(sources), [str(source) for source in sources if stale(source)]]))
"""
# Of what a start imports, the standard library too.
IMPORTED_WITHOUT_BYTECODE = """
import json, os, sys
import handler.main, handler.api.app, handler.aws.loop, handler.aws.ric, handler.chat.service, handler.ort.decoder
import handler.settings, handler.tokenizer, handler.grammar.compiler
loaded = [module.__spec__.cached for module in list(sys.modules.values()) if getattr(module, "__spec__", None)]
files = [path for path in loaded if path and path.endswith(".pyc")]
print(json.dumps([len(files), [path for path in files if not os.path.exists(path)]]))
"""


def paths(image: Image, *places: str) -> Iterator[Path]:
    for place in places:
        yield from (image.root / place).rglob("*")


def told(image: Image, paths: Iterator[Path]) -> list[str]:
    return sorted("/" + path.relative_to(image.root).as_posix() for path in paths)


def test_it_runs_as_nobody_in_particular(image: Image) -> None:
    assert (image.user, image.directory, list(image.command)) == ("1000:1000", "/var/task", ["python", "-m", "handler"])


def test_there_is_no_compiler(image: Image) -> None:
    programs = (path for path in paths(image, "usr", "opt") if path.parent.name in {"bin", "sbin", "libexec"})
    assert told(image, (path for path in programs if COMPILER.fullmatch(path.name))) == []


def test_there_is_neither_torch_nor_exporter_nor_a_test(image: Image) -> None:
    found = (path for path in paths(image, "opt", "var/task", "usr/local") if path.name in NEVER)
    assert told(image, found) == []
    named = {path.name.partition("-")[0].lower() for path in paths(image, "opt", "usr") if path.name.endswith("-info")}
    assert named & NEVER == set()


def test_the_kernels_are_what_their_sources_make_on_any_machine(image: Image, tmp_path: Path) -> None:
    """Not what lay in handler/ort/ when the image was built; on arm64 there are none."""
    found = [path.read_bytes() for path in paths(image, "var/task") if path.suffix == ".so"]
    expected = []
    if built_for(platform.system(), platform.machine()):
        build(tmp_path / "libkernels.so")
        expected.append((tmp_path / "libkernels.so").read_bytes())
    assert found == expected


def test_what_the_build_used_is_gone(image: Image) -> None:
    """pip's configuration and cache, this machine's certificates and wheels, the directories of the stages."""
    options = pip_configuration.chosen(ask([sys.executable, "-m", "pip", "config", "list"]))
    here = [str(path) for path in pip_configuration.local_paths(options) if path.is_dir()]
    places = ["/etc/pip.conf", "/root/.cache", "/root/.config", "/root/shared", "/build", *here]
    assert [place for place in places if (image.root / place.lstrip("/")).exists()] == []
    assert told(image, (path for path in paths(image, "opt", "usr") if path.name == "direct_url.json")) == []
    assert told(image, paths(image, "tmp", "var/tmp", "home")) == []
    names = [name for name in image.environment if name.startswith("PIP") or "PROXY" in name.upper()]
    assert names == []


def test_no_file_makes_its_user_another_one(image: Image) -> None:
    found = (
        path
        for path in paths(image, "usr", "opt", "var", "etc")
        if path.is_file() and not path.is_symlink() and path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)
    )
    assert told(image, found) == []


def test_whoever_runs_it_can_read_it_and_not_write_to_it(image: Image) -> None:
    wrong = []
    for path in paths(image, "opt", "var/task"):
        status = path.lstat()
        needed = 0o005 if path.is_dir() else 0o004
        links = stat.S_ISLNK(status.st_mode)
        if status.st_uid != 0 or (not links and (status.st_mode & needed != needed or status.st_mode & 0o022)):
            wrong.append(path)
    assert told(image, iter(wrong)) == []


def test_every_source_has_unchecked_bytecode(image: Image, tmp_path: Path) -> None:
    count, stale = json.loads(run(image, tmp_path, WITHOUT_BYTECODE))
    assert (count > 1000, stale) == (True, [])


def test_a_start_compiles_nothing(image: Image, tmp_path: Path) -> None:
    count, missing = json.loads(run(image, tmp_path, IMPORTED_WITHOUT_BYTECODE))
    assert (count > 500, missing) == (True, [])


def test_it_is_as_small_as_it_was(image: Image) -> None:
    parts = sizes.measure(image.root)
    assert [part.name for part in parts] == ["base", "packages", "model", "handler"]
    assert sizes.beyond(parts) == []


def run(image: Image, tmp: Path, code: str) -> str:
    command = jailed(image, user=1000, tmp=tmp, settings={}, command=["python", "-c", code])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
