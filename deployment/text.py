"""A plan for people to read. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from deployment.plan import Plan

_WIDTH = 110  # of a line of JSON, before it is broken into several


def render(plan: Plan) -> str:
    """The whole plan."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    yield f"Stack {plan.stack_name} in {plan.region}"
    yield ""
    yield "Parameters that differ from the template's defaults" + ("" if plan.changed else ": none")
    yield from _pairs(plan.changed)
    yield ""
    yield "Conditions"
    yield "  true   " + ", ".join(name for name, holds in plan.conditions.items() if holds)
    yield "  false  " + ", ".join(name for name, holds in plan.conditions.items() if not holds)
    yield ""
    yield "The image is built with"
    yield from _pairs(plan.build_args)
    yield ""
    yield f"Resources ({len(plan.resources)})"
    for resource in plan.resources:
        yield f"+ {resource.logical_id}   {resource.type}"
        yield from _properties(resource.properties, "    ")
    yield ""
    yield "Outputs"
    yield from _pairs(plan.outputs)
    if plan.violations:
        yield ""
        yield "CloudFormation would refuse this:"
        for violation in plan.violations:
            yield f"! {violation}"


def _pairs(items: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, items), default=0)
    for name, value in items.items():
        yield f"  {name:{width}}  {value}"


def _properties(properties: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in properties.items():
        if isinstance(value, str) and "\n" in value.strip():
            yield f"{indent}{name}:"
            yield from (f"{indent}  {line}" for line in value.splitlines())
            continue
        line = f"{indent}{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        if len(line) <= _WIDTH or not isinstance(value, dict | list):
            yield line
        elif isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _properties(value, indent + "  ")
        else:
            yield f"{indent}{name}:"
            yield from (f"{indent}  - {json.dumps(item, ensure_ascii=False)}" for item in value)
