"""`make plan` and `make deploy --dry-run` as a user types them, in a project that `sam init` made of a clone."""

import os
import pty
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.template.places import ROOT, SAM, TOOLS_PYTHON

# No account, no credentials, no engine: and nobody asks the network for any.
BARE = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "AWS_EC2_METADATA_DISABLED": "true",
    "SAM_CLI_TELEMETRY": "0",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


def run(*command: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env={**BARE, **variables},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user has after `sam init --location` on a clone of this repository."""
    directory = tmp_path_factory.mktemp("init")
    clone = directory / "clone"
    # As it is now, committed or not, and without what git ignores.
    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT).stdout.split("\0")
    for name in filter(None, files):
        source, target = ROOT / name, clone / name
        if source.is_file() and not source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    author = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for command in (("init", "-q"), ("add", "-A"), (*author, "commit", "-q", "-m", "all")):
        assert run("git", *command, cwd=clone).returncode == 0
    made = run(SAM, "init", "--location", f"git+file://{clone}", "--name", "my-llm", cwd=directory, HOME=str(directory))
    assert made.returncode == 0, made.stderr
    # What `make` would install there: these tests have it already.
    tools = directory / "my-llm" / ".venv-tools"
    tools.symlink_to(ROOT / ".venv-tools")
    for lock in (directory / "my-llm" / "requirements").iterdir():
        os.utime(lock, (0, 0))
    return directory / "my-llm"


def test_it_is_the_project_and_nothing_that_was_made_in_it(project: Path) -> None:
    there = {path.name for path in project.iterdir()}
    assert {"template.yaml", "samconfig.toml", "Makefile", "handler", "model_export", "requirements"} <= there
    assert there & {".git", ".venv", ".cache", "artifacts", ".aws-sam", ".pytest_cache"} == set()


def test_sam_finds_it_valid(project: Path, tmp_path: Path) -> None:
    done = run(SAM, "validate", "--lint", cwd=project, HOME=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "is a valid SAM Template" in done.stdout


@pytest.mark.parametrize("command", [("make", "plan"), ("make", "deploy", "--dry-run")])
def test_the_plan_is_told_without_an_account(project: Path, command: tuple[str, ...]) -> None:
    done = run(*command, cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Stack lambda-llm in us-east-1" in done.stdout
    assert "+ Endpoint   AWS::Lambda::Function" in done.stdout
    assert "        LLM_MODE: stream" in done.stdout
    assert "  BaseUrl " in done.stdout


@pytest.fixture
def block(project: Path) -> Iterator[Path]:
    path = project / "samconfig.toml"
    before = path.read_text()
    try:
        yield path
    finally:
        path.write_text(before)


def test_the_block_alone_decides(project: Path, block: Path) -> None:
    text = block.read_text()
    for old, new in (
        ('"lambda-llm"', '"mine"'),
        ("Model=default", "Model=org/name@1"),
        ("Recipe=int8", "Recipe=int4"),
        ("MemorySize=3538", "MemorySize=10240"),
        ('# region = "eu-central-1"', 'region = "eu-west-1"'),
    ):
        assert old in text
        text = text.replace(old, new)
    block.write_text(text)
    done = run("make", "plan", cwd=project)
    assert done.returncode == 0
    lines = {" ".join(line.split()) for line in done.stdout.splitlines()}
    assert {"Stack mine in eu-west-1", "MODEL org/name@1", "RECIPE int4", "MemorySize: 10240"} <= lines


# What `sam build` reads: its parameters, and what the function is built with, by its own code.
_BUILD_ARGUMENTS = """
from samcli.cli.types import CfnParameterOverridesType
from samcli.lib.config.samconfig import SamConfig
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
given = SamConfig(".").get_all(["build"], "parameters", "default")["parameter_overrides"]
parameters = CfnParameterOverridesType().convert(tuple(given), None, None)
stacks, _ = SamLocalStackProvider.get_stacks("template.yaml", parameter_overrides=parameters)
(function,) = SamFunctionProvider(stacks).get_all()
print(function.architectures, function.metadata["DockerBuildArgs"])
"""


def test_what_sam_builds_with_is_what_the_block_says(project: Path, block: Path) -> None:
    block.write_text(block.read_text().replace('"Recipe=int8",', '"Recipe=int4", "Architecture=arm64",'))
    done = run(TOOLS_PYTHON, "-c", _BUILD_ARGUMENTS, cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "['arm64'] {'MODEL': 'default', 'RECIPE': 'int4', 'PREFIX': '', 'EMBEDDING_MODEL': '', '"
    )


def test_a_wrong_parameter_stops_both(project: Path, block: Path) -> None:
    block.write_text(block.read_text().replace("MemorySize=3538", "Memory=3538"))
    for command in (("make", "plan"), ("make", "deploy")):
        done = run(*command, cwd=project)
        assert done.returncode == 2
        assert done.stderr.startswith("! Memory is not a parameter of the template: did you mean MemorySize?\n")


def test_a_broken_rule_stops_a_deployment_and_ends_the_plan(project: Path, block: Path) -> None:
    block.write_text(block.read_text().replace("AuthType=AWS_IAM", "AuthType=NONE"))
    plan = run("make", "plan", cwd=project)
    assert plan.returncode == 2
    assert "! PublicNeedsKey: " in plan.stdout
    assert run("make", "deploy", cwd=project).stderr.startswith("! PublicNeedsKey: ")


def test_before_building_for_minutes_it_is_told_what_is_missing(project: Path, tmp_path: Path) -> None:
    done = run("make", "deploy", cwd=project, HOME=str(tmp_path))
    assert done.returncode == 2
    engine, credentials, *_ = done.stderr.splitlines()
    assert engine.startswith("! The image is built by Docker or Finch, and neither runs here")
    assert credentials.startswith("! There are no AWS credentials")


@pytest.fixture
def ready(tmp_path: Path) -> dict[str, str]:
    """Variables of a machine with credentials, and with an engine that says it runs."""
    engine = tmp_path / "bin" / "docker"
    engine.parent.mkdir()
    engine.write_text("#!/bin/sh\n")
    engine.chmod(0o755)
    return {
        "PATH": f"{engine.parent}:{BARE['PATH']}",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_REGION": "eu-west-3",
    }


def test_where_nobody_can_be_asked_the_region_is_to_be_written_down(project: Path, ready: dict[str, str]) -> None:
    done = run(TOOLS_PYTHON, "-m", "deployment", "ready", cwd=project, **ready)
    assert done.returncode == 1
    assert done.stderr == '! samconfig.toml names no region: write region = "eu-west-3" into its block\n'


@pytest.mark.parametrize(("answer", "chosen"), [("eu-west-1", "eu-west-1"), ("", "eu-west-3")])
def test_the_region_is_asked_for_once(
    project: Path, block: Path, ready: dict[str, str], answer: str, chosen: str
) -> None:
    command = [TOOLS_PYTHON, "-m", "deployment", "ready"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, cwd=project, env={**BARE, **ready}, stdin=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    said, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    assert said.decode() == "AWS region to deploy lambda-llm to [eu-west-3]: samconfig.toml now says so.\n"
    assert f'\nregion = "{chosen}"\n' in block.read_text()
    again = run(*command, cwd=project, **ready)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
