"""The built image under the real Runtime Interface Emulator, as Lambda runs it. Run by `make test-image`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from handler.ort import kernels
from image_build.buildah import Buildah
from image_build.image import Image
from image_build.recipe import ROOT
from lambda_local.rie import rie_path
from tests.image.conftest import build
from tests.image.jail import alone, jailed

EVENT = ROOT / "events" / "function_url_chat.json"
# The image's own user, and one as Lambda picks them: nobody in /etc/passwd.
USERS = (1000, 993)


def invoked(image: Image, mode: str, *, user: int, tmp: Path) -> subprocess.CompletedProcess[str]:
    """What `python -m lambda_local.invoke` says of the event: all of it in a network without anybody."""
    runtime = jailed(image, user=user, tmp=tmp, settings={"LLM_MODE": mode})
    command = [sys.executable, "-m", "lambda_local.invoke", f"--mode={mode}", str(EVENT), "--", *runtime]
    surroundings = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "RIE_PATH": str(rie_path())}
    return subprocess.run(alone(command), cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)


def line_at_ready(said: str) -> Any:
    """What `handler.timeline` tells, among the lines of the emulator."""
    (line,) = (line for line in said.splitlines() if '"event": "ready"' in line)
    return json.loads(line[line.index("{") :])


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("mode", ["stream", "buffered"])
def test_an_event_gets_a_true_answer(image: Image, mode: str, user: int, tmp_path: Path) -> None:
    tmp = tmp_path / "tmp"
    tmp.mkdir()
    done = invoked(image, mode, user=user, tmp=tmp)
    assert done.returncode == 0, done.stderr[-4000:]
    # Around the answer are the emulator's own lines.
    head, _, rest = done.stdout[done.stdout.index("HTTP ") :].partition("\n\n")
    answer, _ = json.JSONDecoder().raw_decode(rest)
    assert head.startswith("HTTP 200\n")
    assert answer["choices"][0]["message"]["content"] == "The capital of France is Paris."
    assert list(tmp.iterdir()) == []  # nothing is written, even where it may be
    assert line_at_ready(done.stdout + done.stderr)["kernels"] is kernels.suits(kernels.flags(Path("/proc/cpuinfo")))


def test_its_root_file_system_is_read_only_and_its_network_empty(image: Image, tmp_path: Path) -> None:
    """What the test above rests on."""
    code = """
import json, os, socket
def failure(what):
    try:
        what()
    except OSError as error:
        return error.strerror
places = ["/x", "/opt/model/x", "/var/task/x", "/dev/shm/x", "/root/x", "/tmp/x"]
print(json.dumps([os.getuid(), os.getgroups(), sorted(os.listdir("/dev")),
    {place: failure(lambda: open(place, "w").close()) for place in places},
    failure(lambda: socket.create_connection(("192.0.2.1", 443), 5))]))
"""
    command = jailed(image, user=993, tmp=tmp_path, settings={}, command=["python", "-c", code])
    done = subprocess.run(alone(command), cwd=ROOT, capture_output=True, text=True, check=True)
    read_only = "Read-only file system"
    assert json.loads(done.stdout) == [
        993,
        [993],
        ["full", "null", "random", "urandom", "zero"],
        {
            "/x": read_only,
            "/opt/model/x": read_only,
            "/var/task/x": read_only,
            "/dev/shm/x": "No such file or directory",
            "/root/x": "Permission denied",
            "/tmp/x": None,
        },
        "Network is unreachable",
    ]


@pytest.mark.usefixtures("built")
def test_without_a_model_it_is_smaller_and_says_what_it_lacks(tmp_path: Path) -> None:
    """The image of a deployment whose model is in S3. The layers of the packages are those of the other image."""
    tag = "localhost/lambda-llm:test-none"
    printed = build(tag, tmp_path / "sbom.json", "--model=none")
    assert "\nmodel " not in printed
    kinds = {component["type"] for component in json.loads((tmp_path / "sbom.json").read_text())["components"]}
    assert kinds == {"library", "operating-system"}
    with Buildah().opened(tag) as empty:
        command = jailed(empty, user=1000, tmp=tmp_path, settings={})
        done = subprocess.run(alone(command), cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "/opt/model" in done.stderr
