"""The plan: which resources, settings and outputs a set of parameters leads to. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployment.intrinsics import PSEUDO, Scope, evaluate
from deployment.parameters import resolve, shown
from deployment.rules import refusals, violations


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A resource that would be created. What only AWS knows is written `${LogicalId.Attribute}`."""

    logical_id: str
    type: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`parameters` and `changed` are as they may be shown: a secret one is asterisks. `changed` are those that differ
    from the template's defaults. `build_args`: what the image is built with."""

    stack_name: str
    region: str
    parameters: Mapping[str, str]
    changed: Mapping[str, str]
    conditions: Mapping[str, bool]
    violations: tuple[str, ...]
    resources: tuple[Resource, ...]
    build_args: Mapping[str, str]
    outputs: Mapping[str, str]

    def of_type(self, kind: str) -> tuple[Resource, ...]:
        """Every resource of one type."""
        return tuple(resource for resource in self.resources if resource.type == kind)


def scope_of(
    template: Mapping[str, Any], values: Mapping[str, str], *, stack_name: str, region: str, resources: frozenset[str]
) -> Scope:
    """What names stand for in a template with these parameter values."""
    pseudo = {**PSEUDO, "AWS::Region": region, "AWS::StackName": stack_name}
    return Scope(
        parameters={**pseudo, **values},
        mappings=template.get("Mappings", {}),
        conditions=template.get("Conditions", {}),
        resources=resources,
    )


def make_plan(
    template: Mapping[str, Any],
    translated: Mapping[str, Any],
    given: Mapping[str, str],
    *,
    stack_name: str,
    region: str,
) -> Plan:
    """The plan for `template`, of which `translated` is what SAM makes, with the parameters that are `given`.

    Raises DeploymentError for parameters that the template does not allow; broken rules are in the plan.
    """
    declared = template["Parameters"]
    values = resolve(declared, given)
    scope = scope_of(
        template, values, stack_name=stack_name, region=region, resources=frozenset(translated["Resources"])
    )
    conditions = {name: scope.holds(name) for name in scope.conditions}
    broken = (*violations(template, scope), *refusals(values))

    def exists(item: Mapping[str, Any]) -> bool:
        return "Condition" not in item or conditions[item["Condition"]]

    return Plan(
        stack_name=stack_name,
        region=region,
        parameters={name: shown(declared[name], value) for name, value in values.items()},
        changed={
            name: shown(declared[name], value)
            for name, value in values.items()
            if value != str(declared[name].get("Default"))
        },
        conditions=conditions,
        violations=broken,
        resources=tuple(
            Resource(
                logical_id=name,
                type=item["Type"],
                properties=evaluate(item.get("Properties", {}), scope),
            )
            for name, item in translated["Resources"].items()
            if exists(item)
        ),
        build_args={
            name: value
            for item in template["Resources"].values()
            for name, value in evaluate(item.get("Metadata", {}).get("DockerBuildArgs", {}), scope).items()
        },
        outputs={
            name: str(evaluate(item["Value"], scope))
            for name, item in translated.get("Outputs", {}).items()
            if exists(item)
        },
    )
