"""Facts about `python -m model_export`: a whole export of a tiny model, and one line for every error."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from handler.artifact import verify_files
from handler.manifest import ModelManifest, Source
from model_export.cli import main
from model_export.recipes import RECIPES
from tests.model_export import tiny


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_directory(tmp_path_factory.mktemp("checkpoint") / "tiny", tiny.weights())


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Runs an export that must fail; returns its one line."""
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    *progress, line = captured.err.splitlines()
    assert not [other for other in progress if other.startswith("error")]
    return line


def test_an_export_is_complete_verified_and_summed_up(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    arguments = [str(source), "--recipe", "fp32", "-o", str(output), "--name", "mini", "--context-window", "64"]
    assert main(arguments) == 0
    manifest = ModelManifest.read(output)
    verify_files(output, manifest, full=True)
    assert {path.name for path in output.iterdir()} == {"manifest.json", *manifest.files}
    assert (manifest.name, manifest.recipe, manifest.exporter, manifest.context_window, manifest.source) == (
        "mini",
        "fp32",
        "direct",
        64,
        Source(kind="directory", id="tiny"),
    )
    assert manifest.quality is not None
    assert manifest.quality.mean_kl == 0.0
    summary = capsys.readouterr().out
    assert summary.startswith(f"mini: LlamaForCausalLM, fp32, direct → {output}\n\n")
    for said in (*manifest.files, "perplexity", "KL from fp32", "top-1 agreement", "greedy answer", "total"):
        assert said in summary


def test_the_same_export_twice_gives_the_same_bytes(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    outputs = [tmp_path / "one", tmp_path / "two"]
    for output in outputs:
        assert main([str(source), "--recipe", "fp32", "-o", str(output)]) == 0
    first, second = ({path.name: path.read_bytes() for path in output.iterdir()} for output in outputs)
    assert first == second


def test_the_module_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "model_export", "nonsense", "-o", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: 'nonsense' is no source; give one of: default (")
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_checkpoint_leaves_nothing_behind(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(source, damaged)
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    line = failure(capsys, str(damaged), "-o", str(tmp_path / "out"))
    assert line.startswith(f"error: shard {weights} is truncated: it should hold ")
    assert line.endswith("download it again")
    assert [path.name for path in tmp_path.iterdir()] == ["damaged"]


def test_a_damaged_gguf_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tiny.write_gguf(tmp_path / "tiny.gguf", tiny.llama_gguf_tensors(tiny.weights()))
    path.write_bytes(path.read_bytes()[:2000])
    line = failure(capsys, str(path), "-o", str(tmp_path / "out"))
    assert line == f"error: {path} is damaged (it ends too early): download it again"


def test_an_unknown_recipe_is_answered_with_those_that_exist(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = failure(capsys, str(source), "--recipe", "int1", "-o", str(tmp_path / "out"))
    assert line == f"error: there is no recipe 'int1': choose one of {', '.join(RECIPES)}"


def test_a_window_beyond_the_training_is_refused(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = failure(capsys, str(source), "-o", str(tmp_path / "out"), "--context-window", "129")
    assert line == "error: the model was trained for 128 tokens: give a --context-window up to that"


def test_an_architecture_that_nobody_exports_is_one_line(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(source, odd)
    tiny.write_json(odd / "config.json", tiny.CONFIG | {"architectures": ["OddForCausalLM"], "model_type": "odd"})
    line = failure(capsys, str(odd), "--exporter", "direct", "-o", str(tmp_path / "out"))
    assert line.startswith("error: ")
    assert "OddForCausalLM" in line


@pytest.mark.parametrize("arguments", [["--context-window", "0"], ["--exporter", "torch"], ["--recip", "int8"], []])
def test_a_wrong_option_is_a_usage_error(arguments: list[str], tmp_path: Path) -> None:
    output = ["-o", str(tmp_path / "out")] if arguments else []
    with pytest.raises(SystemExit) as caught:
        main(["default", *arguments, *output])
    assert caught.value.code == 2


def test_the_help_lists_sources_and_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for said in (*RECIPES, *(recipe.description for recipe in RECIPES.values()), "a .gguf file", "a hub id"):
        assert said in text
