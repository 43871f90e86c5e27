"""The role: what the parameters need, and nothing else."""

from collections.abc import Callable
from typing import Any

from deployment.plan import Plan

Plans = Callable[..., Plan]

LOGS = {
    "Effect": "Allow",
    "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
    "Resource": "${EndpointLogs.Arn}",
}


def statements(plan: Plan) -> list[dict[str, Any]]:
    (role,) = plan.of_type("AWS::IAM::Role")
    assert "ManagedPolicyArns" not in role.properties
    return [statement for policy in role.properties["Policies"] for statement in policy["PolicyDocument"]["Statement"]]


def test_by_default_the_function_may_write_its_own_log_and_no_more(plan: Plans) -> None:
    assert statements(plan()) == [LOGS]


def test_only_lambda_takes_the_role(plan: Plans) -> None:
    (role,) = plan().of_type("AWS::IAM::Role")
    assert role.properties["AssumeRolePolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]
