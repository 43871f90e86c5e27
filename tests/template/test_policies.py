"""The role: what the parameters need, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest

from deployment.plan import Plan

Plans = Callable[..., Plan]

LOGS = {
    "Effect": "Allow",
    "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
    "Resource": "${EndpointLogs.Arn}",
}

KMS_KEY = "arn:aws:kms:eu-central-1:123456789012:key/one"
DECRYPT = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": KMS_KEY}
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-AbCdEf"
PARAMETER = {
    "Effect": "Allow",
    "Action": "ssm:GetParameter",
    "Resource": "arn:aws:ssm:eu-central-1:123456789012:parameter/llm/keys",
}


def models(*places: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "s3:GetObject", "Resource": [f"arn:aws:s3:::{place}/*" for place in places]}


def secret(arn: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arn}


def statements(plan: Plan) -> list[dict[str, Any]]:
    (role,) = plan.of_type("AWS::IAM::Role")
    assert "ManagedPolicyArns" not in role.properties
    return [statement for policy in role.properties["Policies"] for statement in policy["PolicyDocument"]["Statement"]]


def test_by_default_the_function_may_write_its_own_log_and_no_more(plan: Plans) -> None:
    assert statements(plan()) == [LOGS]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"ModelLocation": "s3://bucket/a/b"}, [models("bucket/a/b")]),
        ({"ModelLocation": "s3://bucket/a/b@sha256:" + 64 * "0"}, [models("bucket/a/b")]),
        ({"ModelLocation": "s3://bucket/a/b", "ModelKmsKeyArn": KMS_KEY}, [models("bucket/a/b"), DECRYPT]),
        (
            {"FurtherModel1": "s3://one/a", "FurtherModel3": "x=s3://three/c/d@sha256:" + 64 * "0"},
            [models("one/a", "three/c/d")],
        ),
        ({"GenerateKey": "true"}, [secret("${GeneratedKey}")]),
        ({"KeysSecretArn": SECRET}, [secret(SECRET)]),
        ({"KeysSecretArn": SECRET, "KeysKmsKeyArn": KMS_KEY}, [secret(SECRET), DECRYPT]),
        ({"KeysParameter": "/llm/keys"}, [PARAMETER]),
        ({"GenerateKey": "true", "KeysParameter": "/llm/keys"}, [secret("${GeneratedKey}"), PARAMETER]),
        (
            {"GenerateKey": "true", "Quotas": "true"},
            [
                secret("${GeneratedKey}"),
                {"Effect": "Allow", "Action": "dynamodb:UpdateItem", "Resource": "${QuotaTable.Arn}"},
            ],
        ),
    ],
    ids=str,
)
def test_each_parameter_adds_what_it_needs(plan: Plans, given: dict[str, str], expected: list[dict[str, Any]]) -> None:
    assert statements(plan(**given)) == [LOGS, *expected]


def test_only_lambda_takes_the_role(plan: Plans) -> None:
    (role,) = plan().of_type("AWS::IAM::Role")
    assert role.properties["AssumeRolePolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]
