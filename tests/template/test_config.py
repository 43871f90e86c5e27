"""samconfig.toml: one block, one set of parameters, and what a mistake in it is told."""

import tomllib
from pathlib import Path

import pytest

from deployment.config import Config, overrides, read_config, with_region
from deployment.errors import DeploymentError
from tests.template.places import ROOT

SHIPPED = ROOT / "samconfig.toml"


def test_the_one_that_is_shipped_asks_for_a_private_endpoint_of_the_default_model() -> None:
    assert read_config(SHIPPED) == Config(
        stack_name="lambda-llm",
        region=None,
        profile=None,
        parameters={"Model": "default", "Recipe": "int8", "MemorySize": "3538", "AuthType": "AWS_IAM"},
    )


def test_the_region_that_was_asked_for_takes_its_line_and_changes_nothing_else() -> None:
    before = SHIPPED.read_text()
    after = with_region(before, "eu-west-1")
    assert tomllib.loads(after)["default"]["global"]["parameters"]["region"] == "eu-west-1"
    changed = [line for line in after.splitlines() if line not in before.splitlines()]
    assert changed == ['region = "eu-west-1"']
    assert len(after.splitlines()) == len(before.splitlines())
    assert with_region(after, "us-east-1") == with_region(before, "us-east-1")


def test_a_block_without_a_line_for_the_region_gets_one() -> None:
    text = '[default.global.parameters]\nstack_name = "a"\n'
    assert with_region(text, "eu-west-1") == ('[default.global.parameters]\nregion = "eu-west-1"\nstack_name = "a"\n')


@pytest.mark.parametrize("given", ['A=1 "B=x y"', ["A=1", 'B="x y"']])
def test_parameters_are_a_list_or_one_string(given: object) -> None:
    assert overrides(given) == {"A": "1", "B": "x y"}


def test_a_value_with_a_space_needs_quotes_of_its_own_as_for_sam() -> None:
    with pytest.raises(DeploymentError, match=r"has 'y': write"):
        overrides(["B=x y"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"needs stack_name"),
        ("stack_name = ", r"is not TOML"),
        ('[default.global.parameters]\nstack_name="a"\nregion="europe"', r"'europe' is not a region such as"),
        ('[default.global.parameters]\nstack_name="a"\nparameter_overrides=["A"]', r"has 'A': write"),
        ('[default.global.parameters]\nstack_name="a"\nparameter_overrides=["A=1", "A=2"]', r"has A twice"),
        ('[default.global.parameters]\nstack_name="a"\nparameter_overrides=3', r"takes a list"),
        (
            '[default.deploy.parameters]\nparameter_overrides="A=1"',
            r"parameter_overrides is in \[default\.deploy\.parameters\]",
        ),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "samconfig.toml"
    path.write_text(text)
    with pytest.raises(DeploymentError, match=message):
        read_config(path)


def test_a_missing_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="cannot be read: No such file"):
        read_config(tmp_path / "samconfig.toml")
