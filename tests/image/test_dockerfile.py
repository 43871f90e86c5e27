"""What holds of the Dockerfile without building it. hadolint has its say in `make check`."""

import re
from fnmatch import fnmatch
from pathlib import Path

import grimp

from image_build.recipe import DOCKERFILE, ROOT, Recipe

TEXT = DOCKERFILE.read_text()
# One instruction each, continued lines joined.
INSTRUCTIONS = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE)).split("\n")
STAGES = {
    stage.splitlines()[0]: stage for stage in re.split(r"^FROM \$\{BASE_IMAGE\} AS ", TEXT, flags=re.MULTILINE)[1:]
}


def test_every_stage_begins_with_the_pinned_base() -> None:
    assert re.search(r"^ARG BASE_IMAGE=python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}$", TEXT, re.MULTILINE)
    froms = [line for line in INSTRUCTIONS if line.startswith("FROM ")]
    assert froms == [f"FROM ${{BASE_IMAGE}} AS {stage}" for stage in ("kernels", "export", "site", "runtime")]


def test_it_takes_the_arguments_that_a_build_gives() -> None:
    declared = {line.removeprefix("ARG ").partition("=")[0] for line in INSTRUCTIONS if line.startswith("ARG ")}
    # SETTINGS is a label's value, which template.yaml gives.
    assert declared == {*Recipe().arguments("any"), "SETTINGS"}


def test_the_classic_builder_understands_it() -> None:
    """`sam build` does not use BuildKit: no mounts in RUN, no here-documents, no links or modes in COPY."""
    assert not re.search(r"--mount|<<|--link|--chmod|^# syntax=", TEXT, re.MULTILINE)


def test_the_runtime_installs_nothing_and_is_nobody() -> None:
    runtime = STAGES["runtime"]
    assert not re.search(r"\bpip\b|apt|model_export|COPY (?!--from)", runtime)
    assert "\nUSER 1000:1000\n" in runtime
    assert "requirements" not in runtime


def test_torch_is_installed_where_models_are_exported_and_nowhere_else() -> None:
    assert [name for name, stage in STAGES.items() if "optimum.txt" in stage] == ["export"]


def test_the_compiler_is_where_kernels_are_compiled_and_they_go_where_models_run() -> None:
    assert [name for name, stage in STAGES.items() if "kernels.txt" in stage] == ["kernels"]
    taken = {name: stage.count("COPY --from=kernels /opt/kernels/ ") for name, stage in STAGES.items()}
    assert taken == {"kernels": 0, "export": 1, "site": 1, "runtime": 0}  # the runtime has the site's


def copied(path: str) -> bool:
    """Whether the stage that exports has this file of the repository."""
    lines = re.sub(r"\\\n\s*", "", STAGES["export"]).splitlines()
    sources = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    return any(path == source or (source.endswith("/") and path.startswith(source)) for source in sources)


def test_the_exporter_finds_all_that_it_imports() -> None:
    graph = grimp.build_graph("handler", "model_export")
    needed = {module for module in graph.modules if module.partition(".")[0] == "model_export"}
    for module in sorted(needed):
        needed |= graph.find_upstream_modules(module)
    files = [ROOT / module.replace(".", "/") for module in needed]
    sources = [path / "__init__.py" if path.is_dir() else path.with_suffix(".py") for path in files]
    missing = [path for path in sources if not copied(path.relative_to(ROOT).as_posix())]
    assert missing == []


def test_only_what_is_named_reaches_the_build() -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    seen = [line.removeprefix("!") for line in lines if line.startswith("!")]
    tops = {path.name for path in ROOT.iterdir() if any(fnmatch(path.name, pattern) for pattern in seen)}
    assert tops - {"prefix.txt", "prefix.json"} == {"handler", "kernels", "model_export", "requirements"}


def test_no_registry_and_no_machine_is_named() -> None:
    for path in [DOCKERFILE, *Path(ROOT, "image_build").glob("*.py")]:
        assert not re.search(r"pypi\.org|docker\.io|/opt/wheels|index\.docker", path.read_text()), path
