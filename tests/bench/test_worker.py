"""The process of a system: pinned, asked in lines of JSON, and closed; what fails is named."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.bench import environments
from tests.bench.command import Missing
from tests.bench.worker import Worker


@contextmanager
def worker(model: str, *flags: str, module: str = "tests.bench.echo") -> Iterator[Worker]:
    with tempfile.TemporaryFile("w+") as complaints:
        process = Worker(Path(sys.executable), module, [model, *flags], threads=1, complaints=complaints)
        try:
            yield process
        finally:
            process.close()


def test_a_worker_loads_once_and_answers_each_command(tmp_path: Path) -> None:
    with worker("model") as process:
        assert process.ask("load")["versions"] == {"echo": "1"}
        assert process.ask("prefill", tokens=5)["seconds"] > 0
        assert len(process.ask("decode", tokens=3)["seconds"]) == 3
        assert process.ask("score", ids=[4, 7], file=str(tmp_path / "logits.npy")) == {}
        assert np.load(tmp_path / "logits.npy").tolist() == [[4.0, 1.0], [7.0, 1.0]]
        assert process.ask("memory")["peak_bytes"] > 1_000_000


def test_what_kills_a_worker_is_named() -> None:
    with (
        worker("damaged") as process,
        pytest.raises(Missing, match=r"^load failed: RuntimeError: the file is damaged$"),
    ):
        process.ask("load")


def test_a_worker_that_cannot_start_is_missing() -> None:
    with worker("model", module="tests.bench.nothing") as process, pytest.raises(Missing, match="No module named"):
        process.ask("load")


def test_a_peer_that_cannot_be_installed_is_missing_with_the_installers_last_words() -> None:
    with pytest.raises(Missing, match=r"^nothing cannot be installed: ValueError: no such package$"):
        environments.run([sys.executable, "-c", "raise ValueError('no such package')"], "nothing cannot be installed")


def test_a_signal_is_named() -> None:
    assert environments.last_words("", -11) == "ended by signal 11"
    assert environments.last_words("first\n\nlast \n", 1) == "last"
    assert environments.last_words("", 3) == "exit status 3"
