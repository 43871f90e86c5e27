"""CloudFormation's intrinsic functions, evaluated. Pure: no I/O.

What exists only after a deployment stays visible as `${LogicalId}` or `${LogicalId.Attribute}`; a Function URL, of
which templates take parts, has the shape of one. A function that is not known here is an error, never passed on.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deployment.errors import DeploymentError

_VARIABLE = re.compile(r"\$\{(!?)([^}]*)\}")


class _NoValue:
    """`AWS::NoValue`: the property or the list item that is this is not there."""


NO_VALUE = _NoValue()

PSEUDO: Mapping[str, str] = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What names stand for. `parameters` hold strings, and lists of them for list parameters; pseudo parameters too."""

    parameters: Mapping[str, str | Sequence[str]]
    mappings: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    resources: frozenset[str] = frozenset()

    def holds(self, condition: str) -> bool:
        """Whether the named condition is true. Raises DeploymentError if there is none."""
        if condition not in self.conditions:
            raise DeploymentError(f"{condition} is not one of the template's Conditions")
        return truth(self.conditions[condition], self)

    def reference(self, name: str) -> Any:
        """The value of `!Ref name`."""
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.parameters:
            return self.parameters[name]
        if name in self.resources:
            return f"${{{name}}}"
        raise DeploymentError(f"{name} is neither a parameter nor a resource of the template")

    def attribute(self, resource: str, name: str) -> str:
        """The value of `!GetAtt resource.name`."""
        if resource not in self.resources:
            raise DeploymentError(f"{resource} is not a resource of the template")
        if name == "FunctionUrl":
            return f"https://${{{resource}}}.lambda-url.{self.parameters['AWS::Region']}.on.aws/"
        return f"${{{resource}.{name}}}"


def evaluate(value: Any, scope: Scope) -> Any:
    """`value` with every intrinsic function replaced by what it gives."""
    if isinstance(value, Mapping):
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref":
                return scope.reference(argument)
            if name == "Condition" and isinstance(argument, str) and argument in scope.conditions:
                return scope.holds(argument)
            if name.startswith("Fn::"):
                if name not in FUNCTIONS:
                    raise DeploymentError(f"{name} is not evaluated here; known: {', '.join(sorted(FUNCTIONS))}")
                return FUNCTIONS[name](argument, scope)
        items = ((key, evaluate(item, scope)) for key, item in value.items())
        return {key: item for key, item in items if item is not NO_VALUE}
    if isinstance(value, list):
        return [item for item in (evaluate(part, scope) for part in value) if item is not NO_VALUE]
    return value


def truth(value: Any, scope: Scope) -> bool:
    """A condition's value. Raises DeploymentError if it is no truth value."""
    result = evaluate(value, scope)
    if isinstance(result, bool):
        return result
    raise DeploymentError(f"{value!r} is not a condition")


def text(value: Any) -> str:
    """A scalar as CloudFormation writes it into a string."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _if(argument: Any, scope: Scope) -> Any:
    condition, then, otherwise = argument
    return evaluate(then if scope.holds(condition) else otherwise, scope)


def _equals(argument: Any, scope: Scope) -> bool:
    left, right = (evaluate(part, scope) for part in argument)
    return text(left) == text(right)


def _sub(argument: Any, scope: Scope) -> str:
    template, given = argument if isinstance(argument, list) else (argument, {})
    own = {name: evaluate(value, scope) for name, value in given.items()}

    def replace(match: re.Match[str]) -> str:
        literal, name = match.groups()
        if literal:
            return f"${{{name}}}"
        if name in own:
            return text(own[name])
        resource, dot, attribute = name.partition(".")
        return scope.attribute(resource, attribute) if dot else text(scope.reference(name))

    return _VARIABLE.sub(replace, template)


def _join(argument: Any, scope: Scope) -> str:
    separator, parts = argument
    return str(separator).join(text(part) for part in evaluate(parts, scope))


def _split(argument: Any, scope: Scope) -> list[str]:
    separator, whole = argument
    return text(evaluate(whole, scope)).split(separator)


def _select(argument: Any, scope: Scope) -> Any:
    index, parts = argument
    found = evaluate(parts, scope)
    position = int(evaluate(index, scope))
    if not 0 <= position < len(found):
        raise DeploymentError(f"Fn::Select asks for item {position} of {len(found)}: {found!r}")
    return found[position]


def _find_in_map(argument: Any, scope: Scope) -> Any:
    name, first, second = (evaluate(part, scope) for part in argument)
    try:
        return scope.mappings[name][text(first)][text(second)]
    except KeyError as error:
        raise DeploymentError(f"The mapping {name} has no {error} for {first}, {second}") from None


def _get_att(argument: Any, scope: Scope) -> str:
    resource, attribute = argument
    return scope.attribute(resource, attribute)


FUNCTIONS: Mapping[str, Callable[[Any, Scope], Any]] = {
    "Fn::And": lambda argument, scope: all(truth(part, scope) for part in argument),
    "Fn::Contains": lambda argument, scope: text(evaluate(argument[1], scope)) in evaluate(argument[0], scope),
    "Fn::Equals": _equals,
    "Fn::FindInMap": _find_in_map,
    "Fn::GetAtt": _get_att,
    "Fn::If": _if,
    "Fn::Join": _join,
    "Fn::Not": lambda argument, scope: not truth(argument[0], scope),
    "Fn::Or": lambda argument, scope: any(truth(part, scope) for part in argument),
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::Sub": _sub,
}
