"""template.yaml as plain data: the short forms of intrinsic functions become the long ones.

`!Sub x` is `{"Fn::Sub": "x"}`, `!Ref` and `!Condition` have no `Fn::`, and `!GetAtt a.b` is split at its first dot.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deployment.errors import DeploymentError


class _Loader(yaml.SafeLoader):
    """A loader of its own: constructors that are added to PyYAML's would stay there."""


def _short_form(loader: _Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        raise DeploymentError(f"!{name} has no value")
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name if name in {"Ref", "Condition"} else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _short_form)


def read_template(path: Path) -> dict[str, Any]:
    """The template at `path`. Raises DeploymentError if it is missing or no YAML mapping."""
    try:
        document = _Loader(path.read_text(encoding="utf-8")).get_single_data()
    except OSError as error:
        raise DeploymentError(f"{path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise DeploymentError(f"{path} is not YAML: {error}") from None
    if not isinstance(document, Mapping) or "Resources" not in document:
        raise DeploymentError(f"{path} is not a CloudFormation template: it has no Resources")
    return dict(document)
