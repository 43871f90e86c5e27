"""Loading: a damaged model directory gives one line that names the file."""

from pathlib import Path

import pytest

from handler.errors import ArtifactError
from handler.ort.decoder import load_decoder
from tests.ort import decoders


def _missing(path: Path) -> None:
    path.unlink()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _garbled(path: Path) -> None:
    path.write_bytes(b"\xff" * path.stat().st_size)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("model.onnx", _missing),
        ("model.onnx", _cut),
        ("model.onnx", _garbled),
        ("model.onnx.data", _missing),
        ("model.onnx.data", _cut),
    ],
    ids=["no graph", "half a graph", "no graph at all in it", "no weights", "half the weights"],
)
def test_a_damaged_graph_is_one_line_with_its_name(tmp_path: Path, file: str, damage: object) -> None:
    assert callable(damage)
    manifest = decoders.export(decoders.checkpoint(decoders.CONFIG), "fp32", tmp_path)
    damage(tmp_path / file)
    with pytest.raises(ArtifactError, match=r"model\.onnx cannot be loaded \(.+\): export the model again$") as caught:
        load_decoder(tmp_path, manifest, threads=1)
    assert "\n" not in caught.value.message
