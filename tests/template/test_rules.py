"""What excludes what, and what a wrong parameter is told."""

from collections.abc import Callable
from typing import Any

import pytest

from deployment.errors import DeploymentError
from deployment.plan import Plan

Plans = Callable[..., Plan]

KEY = {"GenerateKey": "true"}
KMS_KEY = "arn:aws:kms:eu-central-1:123456789012:key/one"
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-AbCdEf"


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"AuthType": "NONE"}, "PublicNeedsKey"),
        ({"Front": "cloudfront"}, "PublicNeedsKey"),
        ({"Model": "none"}, "ImageWithoutModel: Model=none"),
        ({"Model": "none", "ModelLocation": "s3://bucket/a", "Prefix": "prefix.txt"}, "ImageWithoutModel: Prefix"),
        ({"Quotas": "true"}, "QuotasAreOfKeys"),
        ({"KeysKmsKeyArn": KMS_KEY}, "KmsKeyIsUsed: KeysKmsKeyArn"),
        ({"KeysKmsKeyArn": KMS_KEY, "GenerateKey": "true"}, "KmsKeyIsUsed: KeysKmsKeyArn"),
        ({"ModelKmsKeyArn": KMS_KEY}, "KmsKeyIsUsed: ModelKmsKeyArn"),
        ({"Metrics": "emf", "LogLevel": "warning"}, "MetricsAreLogged"),
        ({"SnapStart": "true", "ProvisionedConcurrency": "1"}, "SnapStartExcludes"),
        ({"SnapStart": "true", "EphemeralStorage": "513"}, "SnapStartExcludes"),
        ({"ProvisionedConcurrency": "1", "ReservedConcurrency": "0"}, "ProvisionedNeedsConcurrency"),
        ({"AlarmEmail": "a@b.c", "AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:t"}, "AlarmsNeedOneListener"),
        ({"AlarmEmail": "a@b.c", "Alarms": "false"}, "AlarmsNeedOneListener"),
        ({"ProvisionedConcurrency": "11"}, "ProvisionedConcurrency=11 is more than ReservedConcurrency=10"),
        ({"Front": "api-gateway", "InvokeMode": "BUFFERED"}, "Timeout=120, but API Gateway gives up after 29 seconds"),
    ],
    ids=str,
)
def test_a_combination_that_cannot_be_is_refused(plan: Plans, given: dict[str, str], rule: str) -> None:
    assert plan(**given).violations[0].startswith(rule)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"AuthType": "NONE", **KEY},
        {"Front": "cloudfront", **KEY},
        {"AuthType": "NONE", "KeysSecretArn": SECRET, "KeysKmsKeyArn": KMS_KEY},
        {"AuthType": "NONE", "KeysParameter": "/llm/keys"},
        {"Model": "none", "ModelLocation": "s3://bucket/a"},
        {"Quotas": "true", "GenerateKey": "true"},
        {"Metrics": "emf"},
        {"Metrics": "emf", "LogLevel": "debug"},
        {"ModelLocation": "s3://bucket/a/b", "ModelKmsKeyArn": KMS_KEY},
        {"ModelLocation": "s3://bucket/a@sha256:" + 64 * "0"},
        {"SnapStart": "true"},
        {"EphemeralStorage": "10240"},
        {"ProvisionedConcurrency": "10"},
        {"ProvisionedConcurrency": "500", "ReservedConcurrency": "-1"},
        {"ReservedConcurrency": "0"},
        {"AlarmEmail": "a@b.c"},
        {"Front": "api-gateway", "InvokeMode": "BUFFERED", "Timeout": "29"},
        {"Front": "api-gateway", "Timeout": "900"},
    ],
    ids=str,
)
def test_a_combination_that_can_be_is_not(plan: Plans, given: dict[str, str]) -> None:
    assert plan(**given).violations == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"Memory": "2048"}, "Memory is not a parameter of the template: did you mean MemorySize?"),
        ({"MemorySize": "512"}, "MemorySize=512: allowed: 1024 to 10240"),
        ({"MemorySize": "2 GB"}, "MemorySize=2 GB: allowed: 1024 to 10240"),
        ({"EphemeralStorage": "511"}, "EphemeralStorage=511: allowed: 512 to 10240"),
        ({"Timeout": "901"}, "Timeout=901: allowed: 10 to 900"),
        ({"ReservedConcurrency": "-2"}, "ReservedConcurrency=-2: allowed: -1 to 1000"),
        ({"InvokeMode": "STREAM"}, "InvokeMode=STREAM: allowed: RESPONSE_STREAM, BUFFERED"),
        ({"AuthType": "PUBLIC"}, "AuthType=PUBLIC: allowed: AWS_IAM, NONE"),
        ({"Recipe": "int2"}, "Recipe=int2: allowed: fp32, int8, int8-blocks, int4"),
        ({"SnapStart": "yes"}, "SnapStart=yes: allowed: true, false"),
        ({"AlarmEmail": "me"}, "AlarmEmail=me: an e-mail address, or empty."),
        ({"KeysParameter": "keys"}, "KeysParameter=keys: the name of an SSM parameter, beginning with /, or empty."),
        (
            {"ModelLocation": "s3://bucket"},
            "ModelLocation=s3://bucket: s3://BUCKET/PREFIX or s3://BUCKET/PREFIX@sha256:DIGEST, or empty.",
        ),
        (
            {"MetricsNamespace": "AWS/Lambda"},
            "MetricsNamespace=AWS/Lambda: a CloudWatch namespace that does not begin with AWS/.",
        ),
    ],
)
def test_a_wrong_value_is_told_what_is_allowed(plan: Plans, given: dict[str, str], message: str) -> None:
    with pytest.raises(DeploymentError) as caught:
        plan(**given)
    assert str(caught.value) == message


def test_all_wrong_values_are_told_at_once(plan: Plans) -> None:
    with pytest.raises(DeploymentError) as caught:
        plan(Timeout="1", MemorySize="1")
    assert len(str(caught.value).splitlines()) == 2


def test_every_parameter_is_in_one_group(template: dict[str, Any]) -> None:
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert [name for group in groups for name in group["Parameters"]] == list(template["Parameters"])
