"""What goes into the image: neither torch nor the exporter, all pinned with hashes, only what is needed."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import httpx
import pytest

from requirements.trim_image import SERVICES, is_dropped, main
from tests.e2e.processes import environment, free_port, running
from tests.models import exported

ROOT = Path(__file__).parents[1]


def names(lock: str) -> set[str]:
    text = (ROOT / "requirements" / lock).read_text()
    return {match[1].lower() for match in re.finditer(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE)}


def test_the_runtime_set_holds_no_exporter() -> None:
    assert not names("runtime.txt") & {
        "torch",
        "optimum",
        "optimum-onnx",
        "transformers",
        "onnx",
        "gguf",
        "safetensors",
    }


def test_the_direct_exporter_needs_no_torch() -> None:
    assert not names("export.txt") & {"torch", "optimum", "optimum-onnx", "transformers"}


def test_every_runtime_requirement_has_a_hash() -> None:
    text = (ROOT / "requirements" / "runtime.txt").read_text()
    assert len(re.findall(r"^\S+==\S+ \\\n    --hash=sha256:", text, re.MULTILINE)) == len(names("runtime.txt")) > 0


def test_no_package_has_two_versions() -> None:
    pins: dict[str, set[str]] = {}
    for lock in ("runtime.txt", "export.txt", "optimum.txt", "dev.txt"):
        for match in re.finditer(r"^([A-Za-z0-9_.-]+)==([^ \\\n]+)", (ROOT / "requirements" / lock).read_text(), re.M):
            pins.setdefault(match[1].lower(), set()).add(match[2])
    assert {name: found for name, found in pins.items() if len(found) > 1} == {}


def installed() -> Iterator[tuple[str, Path]]:
    """Every file of the runtime's packages, as `pip install --target` would lay it out."""
    for name in sorted(names("runtime.txt")):
        distribution = metadata.distribution(name)
        for file in distribution.files or ():
            source = Path(str(distribution.locate_file(file)))
            if "__pycache__" not in file.parts and source.is_file():
                yield f"bin/{file.name}" if file.parts[0] == ".." else file.as_posix(), source


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's /opt/python."""
    directory = tmp_path_factory.mktemp("packages")
    for path, source in installed():
        if not is_dropped(path):
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).symlink_to(source)
    return directory


def test_the_packages_of_the_image_stay_small(packages: Path) -> None:
    """MB before compression, without bytecode: 199 as installed here, 125 as trimmed."""
    files = [path for path in packages.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 140e6


def test_the_server_answers_with_the_packages_of_the_image(packages: Path, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {"PYTHONPATH": str(packages), "LLM_MODEL": str(exported("default", "int8")), "LLM_PORT": str(port)}
    schema = {"type": "object", "properties": {"a": {"enum": [7]}}, "required": ["a"], "additionalProperties": False}
    body = {
        "model": "SmolLM2-135M-Instruct",
        "messages": [{"role": "user", "content": "Say seven."}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "seven", "schema": schema}},
    }
    # -S: no other packages than those.
    with running(["-S", "-m", "handler"], url=f"{url}/health", log=tmp_path / "log", **settings):
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.json()["choices"][0]["message"]["content"]) == {"a": 7}


def test_what_lambda_needs_is_among_the_packages_of_the_image(packages: Path) -> None:
    code = f"""
import awslambdaric.bootstrap, awslambdaric.lambda_runtime_client, boto3, mangum, snapshot_restore_py
for service in {SERVICES}:
    boto3.client(service, region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b")
"""
    variables = environment(PYTHONPATH=str(packages))
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=variables, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("path", "dropped"),
    [
        ("botocore/data/ec2/2016-11-15/service-2.json.gz", True),
        ("botocore/data/s3/2006-03-01/service-2.json.gz", False),
        ("botocore/data/s3/2006-03-01/examples-1.json", True),
        ("botocore/data/endpoints.json", False),
        ("boto3/data/ec2/2016-11-15/resources-1.json", True),
        ("numpy/linalg/tests/test_linalg.py", True),
        ("numpy/testing/__init__.py", False),
        ("onnxruntime/capi/libonnxruntime.so.1.31.1", True),
        ("onnxruntime/capi/libonnxruntime_providers_shared.so", False),
        ("bin/uvicorn", True),
        ("hf_xet-1.8.0.dist-info/METADATA", True),
        ("tokenizers-0.22.2.dist-info/METADATA", False),
    ],
)
def test_what_no_request_needs_is_dropped(path: str, dropped: bool) -> None:
    assert is_dropped(path) is dropped


def test_trimming_removes_files_and_emptied_directories_and_says_how_much(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in ("hf_xet/a.so", "numpy/lib/tests/data/b.npy", "numpy/lib/c.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"x" * 1_000_000)
    main(tmp_path)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        "numpy",
        "numpy/lib",
        "numpy/lib/c.py",
    ]
    assert capsys.readouterr().out == "packages: 3 MB, of which requests need 1\n"
