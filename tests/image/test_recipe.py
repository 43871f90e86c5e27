"""What a build is told, and what it refuses before it begins."""

from pathlib import Path

import pytest

from image_build.recipe import BuildError, Recipe


def test_the_build_arguments_are_those_of_the_dockerfile() -> None:
    assert Recipe().arguments("") == {"MODEL": "default", "RECIPE": "int8", "EMBEDDING_MODEL": "", "PREFIX": ""}
    assert Recipe(model="none").arguments("localhost/base")["BASE_IMAGE"] == "localhost/base"


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(model="none"),
        Recipe(model="org/name@revision", embedding_model="default-embedding", prefix="prefix.txt"),
    ],
    ids=["default", "none", "all"],
)
def test_what_the_build_can_see_is_taken(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "prefix.txt").write_text("Be brief.")
    recipe.check(tmp_path)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(model="artifacts/mine"), "keep the exported model in S3"),
        (Recipe(model="/opt/model.gguf"), "a file of this machine"),
        (Recipe(embedding_model="./mine"), "a file of this machine"),
        (Recipe(prefix="system.txt"), "prefix.txt or prefix.json beside template.yaml"),
        (Recipe(prefix="prefix.json"), "prefix.txt or prefix.json beside template.yaml"),
        (Recipe(model="none", prefix="prefix.txt"), "MODEL=none bakes none"),
    ],
    ids=lambda value: value.split()[0] if isinstance(value, str) else "",
)
def test_what_it_cannot_is_refused(recipe: Recipe, message: str, tmp_path: Path) -> None:
    (tmp_path / "artifacts" / "mine").mkdir(parents=True)
    (tmp_path / "prefix.txt").write_text("Be brief.")
    (tmp_path / "system.txt").write_text("Be brief.")
    with pytest.raises(BuildError, match=message):
        recipe.check(tmp_path)
