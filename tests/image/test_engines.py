"""What buildah and Docker are asked, in order, and what they leave behind."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from image_build import base
from image_build.buildah import Buildah
from image_build.docker import Docker
from image_build.image import image_from
from image_build.recipe import DOCKERFILE, ROOT, BuildError, Recipe

CONFIG = {"Env": ["A=1", "B=2=3"], "Entrypoint": ["python"], "Cmd": None, "WorkingDir": "/var/task", "User": "1000"}


class Recorder:
    """Stands for other programs: remembers what it is asked, and answers by the first word that it knows."""

    def __init__(self, answers: dict[str, str | BuildError]) -> None:
        self.asked: list[list[str]] = []
        self._answers = answers

    def __call__(self, command: Sequence[str]) -> str:
        self.asked.append(list(command))
        for word in command:
            answer = self._answers.get(word)
            if isinstance(answer, BuildError):
                raise answer
            if answer is not None:
                return answer
        return ""

    def words(self, after: str) -> list[str]:
        """What followed this word, in each command that has it."""
        return [" ".join(command[command.index(after) :]) for command in self.asked if after in command]


@pytest.fixture
def buildah(tmp_path: Path) -> Callable[[Recorder], Buildah]:
    return lambda recorder: Buildah(tmp_path, shown=recorder, asked=recorder)


def test_buildah_builds_in_a_chroot_with_layers_that_overlay(buildah: Callable[[Recorder], Buildah]) -> None:
    recorder = Recorder({})
    buildah(recorder).build("localhost/x", {"MODEL": "none"})
    (command,) = [command for command in recorder.asked if "bud" in command]
    assert command[command.index("bud") :][:6] == [
        "bud",
        "--isolation=chroot",
        "--layers=true",
        "--tag=localhost/x",
        f"--file={DOCKERFILE}",
        "--build-arg=MODEL=none",
    ]
    assert command[-1] == str(ROOT)
    assert [word.rpartition(":")[2] for word in command if word.startswith("--volume=")] == ["/root"]


def test_without_overlays_there_are_no_layers(buildah: Callable[[Recorder], Buildah]) -> None:
    recorder = Recorder({"--storage-driver=overlay": BuildError("no overlays here")})
    buildah(recorder).build("localhost/x", {})
    assert [command[-1] for command in recorder.asked[:2]] == ["info", "info"]
    assert "--layers=false" in recorder.asked[-1]


def test_where_no_storage_works_buildah_says_why(buildah: Callable[[Recorder], Buildah]) -> None:
    with pytest.raises(BuildError, match="no mounts here"):
        buildah(Recorder({"info": BuildError("no mounts here")}))


def test_an_opened_image_is_closed(buildah: Callable[[Recorder], Buildah]) -> None:
    inspected = json.dumps({"OCIv1": {"config": CONFIG}})
    recorder = Recorder({"from": "container-1", "mount": "/mounted", "inspect": inspected})
    with buildah(recorder).opened("localhost/x") as image:
        assert image == image_from(Path("/mounted"), CONFIG)
    assert recorder.asked[-1][-2:] == ["rm", "container-1"]


def test_the_base_is_made_once(buildah: Callable[[Recorder], Buildah]) -> None:
    recorder = Recorder({"images": "there it is"})
    name = buildah(recorder).base()
    assert name == base.tag(base.mmdebstrap(Path("/")))
    assert recorder.words("commit") == []


def test_a_base_that_cannot_be_made_leaves_no_container(buildah: Callable[[Recorder], Buildah]) -> None:
    recorder = Recorder({"from": "container-1", "mount": "/mounted", "mmdebstrap": BuildError("no network")})
    with pytest.raises(BuildError, match="no network"):
        buildah(recorder).base()
    assert recorder.words("commit") == []
    assert recorder.words("rm") == ["rm container-1"]


def test_docker_builds_copies_and_cleans_up() -> None:
    recorder = Recorder({"inspect": json.dumps([{"Config": CONFIG}]), "create": "container-1"})
    docker = Docker(shown=recorder, asked=recorder)
    docker.build("localhost/x", Recipe().arguments(""))
    with pytest.raises(FileNotFoundError), docker.opened("localhost/x"):  # the archive, which nobody wrote
        raise AssertionError
    assert [command[:2] for command in recorder.asked] == [
        ["docker", "build"],
        ["docker", "image"],
        ["docker", "create"],
        ["docker", "export"],
        ["tar", "--extract"],
        ["docker", "rm"],
    ]


def test_docker_says_how_to_do_without_a_registry() -> None:
    with pytest.raises(BuildError, match="apt-get install buildah mmdebstrap"):
        Docker().base()


def test_an_image_is_what_its_configuration_says() -> None:
    image = image_from(Path("/x"), CONFIG)
    assert (image.environment, image.command, image.directory, image.user) == (
        {"A": "1", "B": "2=3"},
        ("python",),
        "/var/task",
        "1000",
    )
    bare = image_from(Path("/x"), {})
    assert (bare.environment, bare.command, bare.directory, bare.user) == ({}, (), "/", "root")
