"""A stack's parameters: what is given over what the template defaults to, within the bounds that it declares. Pure."""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from deployment.errors import DeploymentError


def resolve(declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, str]) -> dict[str, str]:
    """Every parameter's value as text. Raises DeploymentError that names each wrong one and what is allowed."""
    problems = [_unknown(name, declared) for name in given if name not in declared]
    values: dict[str, str] = {}
    for name, rules in declared.items():
        if name not in given and "Default" not in rules:
            problems.append(f"{name} has no value: {_allowed(rules)}")
            continue
        values[name] = str(given.get(name, rules.get("Default")))
        problems.extend(f"{name}={shown(rules, values[name])}: {reason}" for reason in _reasons(rules, values[name]))
    if problems:
        raise DeploymentError("\n".join(problems))
    return values


def shown(rules: Mapping[str, Any], value: str) -> str:
    """The value, or asterisks for a secret one."""
    return "****" if rules.get("NoEcho") and value else value


def _unknown(name: str, declared: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, declared, n=1)
    hint = f"did you mean {close[0]}?" if close else "known: " + ", ".join(declared)
    return f"{name} is not a parameter of the template: {hint}"


def _reasons(rules: Mapping[str, Any], value: str) -> Iterator[str]:
    """Why `value` is refused, if it is."""
    if "AllowedValues" in rules:
        if value not in (str(allowed) for allowed in rules["AllowedValues"]):
            yield _allowed(rules)
        return
    if rules["Type"] == "Number":
        try:
            number = float(value)
        except ValueError:
            yield _allowed(rules)
            return
        if not float(rules.get("MinValue", number)) <= number <= float(rules.get("MaxValue", number)):
            yield _allowed(rules)
    pattern = rules.get("AllowedPattern")
    if pattern is not None and re.fullmatch(pattern, value) is None:
        yield str(rules.get("ConstraintDescription", f"must match {pattern}"))


def _allowed(rules: Mapping[str, Any]) -> str:
    if "AllowedValues" in rules:
        return "allowed: " + ", ".join(str(value) for value in rules["AllowedValues"])
    if rules["Type"] == "Number":
        return f"allowed: {rules.get('MinValue', 'any')} to {rules.get('MaxValue', 'any')}"
    return str(rules.get("ConstraintDescription", "a text is needed"))
