"""Nobody is told that the product runs: ONNX Runtime's telemetry is off before it is imported.

Where it is on, the import alone writes an identifier of the machine and a store of events below the user's cache.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT, free_port, running

# Each of these keeps the telemetry silent by itself.
SILENCERS = ("ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI", "GITHUB_ACTIONS", "TF_BUILD", "BUILD_ID")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a file, for processes whose surroundings silence nothing."""
    directory = tmp_path / "home"
    directory.mkdir()
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.setenv("XDG_CACHE_HOME", str(directory / ".cache"))
    for name in SILENCERS:
        monkeypatch.delenv(name, raising=False)
    return directory


def written(home: Path) -> list[str]:
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*"))


def test_onnxruntime_itself_leaves_an_identifier(home: Path) -> None:
    """What the other tests look for is there where nothing is done against it."""
    subprocess.run([sys.executable, "-c", "import onnxruntime"], env=os.environ, check=True, capture_output=True)
    assert ".cache/Microsoft/DeveloperTools/.onnxruntime/deviceid" in written(home)


def test_the_server_leaves_nothing(home: Path, default_model: Path, tmp_path: Path) -> None:
    port = free_port()
    settings = {"LLM_MODEL": str(default_model), "LLM_PORT": str(port)}
    with running(["-m", "handler"], url=f"http://127.0.0.1:{port}/health", log=tmp_path / "log", **settings):
        assert written(home) == []


def test_the_exporter_leaves_nothing(home: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "model_export", str(tmp_path / "nothing.gguf"), "--output", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert (done.returncode, "error: " in done.stderr) == (1, True)
    assert written(home) == []
