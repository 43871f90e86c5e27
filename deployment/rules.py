"""What must hold between parameters: the template's Rules, and what Rules cannot say: they compare texts only. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from deployment.intrinsics import Scope, truth

_BUFFERED_SECONDS = 29  # API Gateway waits no longer for an answer that does not stream


def violations(template: Mapping[str, Any], scope: Scope) -> Iterator[str]:
    """Each broken rule as `Name: description`."""
    for name, rule in template.get("Rules", {}).items():
        if "RuleCondition" in rule and not truth(rule["RuleCondition"], scope):
            continue
        for assertion in rule["Assertions"]:
            if not truth(assertion["Assert"], scope):
                yield f"{name}: {assertion['AssertDescription']}"


def refusals(values: Mapping[str, str]) -> Iterator[str]:
    """What no Rule refuses, but Lambda or API Gateway would, later."""
    reserved, provisioned = int(values["ReservedConcurrency"]), int(values["ProvisionedConcurrency"])
    if 0 <= reserved < provisioned:
        yield f"ProvisionedConcurrency={provisioned} is more than ReservedConcurrency={reserved}, of which it is a part"
    timeout = int(values["Timeout"])
    if values["Front"] == "api-gateway" and values["InvokeMode"] == "BUFFERED" and timeout > _BUFFERED_SECONDS:
        yield (
            f"Timeout={timeout}, but API Gateway gives up after {_BUFFERED_SECONDS} seconds where InvokeMode is"
            f" BUFFERED: set Timeout={_BUFFERED_SECONDS} or less, or InvokeMode=RESPONSE_STREAM"
        )
