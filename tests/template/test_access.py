"""Who may call: nobody but those whom the parameters name, whatever the front."""

import json
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from deployment.plan import Plan
from tests.template.places import NODE

Plans = Callable[..., Plan]

ALIAS = "${EndpointAliaslive}"
KEY = {"GenerateKey": "true"}
URL_OPEN = {
    "PublicUrlPermission": {
        "Action": "lambda:InvokeFunctionUrl",
        "FunctionName": ALIAS,
        "FunctionUrlAuthType": "NONE",
        "Principal": "*",
    },
    "PublicInvokePermission": {
        "Action": "lambda:InvokeFunction",
        "FunctionName": ALIAS,
        "InvokedViaFunctionUrl": True,
        "Principal": "*",
    },
}
OF_DISTRIBUTION = "arn:aws:cloudfront::123456789012:distribution/${Distribution}"
CLOUDFRONT_ONLY = {
    "CloudFrontUrlPermission": {
        "Action": "lambda:InvokeFunctionUrl",
        "FunctionName": ALIAS,
        "Principal": "cloudfront.amazonaws.com",
        "SourceArn": OF_DISTRIBUTION,
    },
    "CloudFrontInvokePermission": {
        "Action": "lambda:InvokeFunction",
        "FunctionName": ALIAS,
        "InvokedViaFunctionUrl": True,
        "Principal": "cloudfront.amazonaws.com",
        "SourceArn": OF_DISTRIBUTION,
    },
}
API_ONLY = {
    "ApiInvokePermission": {
        "Action": "lambda:InvokeFunction",
        "FunctionName": ALIAS,
        "Principal": "apigateway.amazonaws.com",
        "SourceArn": "arn:aws:execute-api:eu-central-1:123456789012:${EndpointApi}/*",
    }
}


def permissions(plan: Plan) -> Mapping[str, Mapping[str, Any]]:
    return {resource.logical_id: resource.properties for resource in plan.of_type("AWS::Lambda::Permission")}


@pytest.mark.parametrize(
    ("front", "auth_type", "expected"),
    [
        ("function-url", "NONE", URL_OPEN),
        ("function-url", "AWS_IAM", {}),
        ("cloudfront", "NONE", URL_OPEN),
        ("cloudfront", "AWS_IAM", CLOUDFRONT_ONLY),
        ("api-gateway", "NONE", API_ONLY),
        ("api-gateway", "AWS_IAM", API_ONLY),
    ],
)
def test_the_permissions_of_each_front(
    plan: Plans, front: str, auth_type: str, expected: Mapping[str, Mapping[str, Any]]
) -> None:
    made = plan(Front=front, AuthType=auth_type, **KEY)
    assert permissions(made) == expected
    assert made.violations == ()


def test_by_default_nobody_may_call_without_a_policy(plan: Plans) -> None:
    made = plan()
    assert permissions(made) == {}
    assert [url.properties["AuthType"] for url in made.of_type("AWS::Lambda::Url")] == ["AWS_IAM"]


def test_a_private_url_comes_with_a_policy_for_its_callers(plan: Plans) -> None:
    (policy,) = plan().of_type("AWS::IAM::ManagedPolicy")
    assert policy.properties["PolicyDocument"]["Statement"] == [
        {
            "Effect": "Allow",
            "Action": "lambda:InvokeFunctionUrl",
            "Resource": ALIAS,
            "Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}},
        },
        {
            "Effect": "Allow",
            "Action": "lambda:InvokeFunction",
            "Resource": ALIAS,
            "Condition": {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}},
        },
    ]


def test_a_private_api_comes_with_a_policy_for_its_callers(plan: Plans) -> None:
    (policy,) = plan(Front="api-gateway").of_type("AWS::IAM::ManagedPolicy")
    assert policy.properties["PolicyDocument"]["Statement"] == [
        {
            "Effect": "Allow",
            "Action": "execute-api:Invoke",
            "Resource": "arn:aws:execute-api:eu-central-1:123456789012:${EndpointApi}/*",
        }
    ]


@pytest.mark.parametrize(("front", "auth_type"), [("function-url", "NONE"), ("cloudfront", "AWS_IAM")])
def test_where_callers_do_not_sign_there_is_no_policy(plan: Plans, front: str, auth_type: str) -> None:
    made = plan(Front=front, AuthType=auth_type, **KEY)
    assert made.of_type("AWS::IAM::ManagedPolicy") == ()
    assert "CallerPolicyArn" not in made.outputs


@pytest.mark.parametrize("invoke_mode", ["RESPONSE_STREAM", "BUFFERED"])
@pytest.mark.parametrize(("auth_type", "method_auth"), [("AWS_IAM", "AWS_IAM"), ("NONE", "NONE")])
def test_the_rest_api_takes_the_place_of_the_url(
    plan: Plans, auth_type: str, method_auth: str, invoke_mode: str
) -> None:
    made = plan(Front="api-gateway", AuthType=auth_type, InvokeMode=invoke_mode, **KEY)
    assert made.of_type("AWS::Lambda::Url") == ()
    (api,) = made.of_type("AWS::ApiGateway::RestApi")
    streams = invoke_mode == "RESPONSE_STREAM"
    call = f"2021-11-15/functions/{ALIAS}/response-streaming-invocations"
    if not streams:
        call = f"2015-03-31/functions/{ALIAS}/invocations"
    for path in ("/", "/{path+}"):
        method = api.properties["Body"]["paths"][path]["x-amazon-apigateway-any-method"]
        assert method["x-amazon-apigateway-auth"] == {"type": method_auth}
        assert method["x-amazon-apigateway-integration"] == {
            "type": "aws_proxy",
            "httpMethod": "POST",
            "responseTransferMode": "STREAM" if streams else "BUFFERED",
            "timeoutInMillis": 900_000 if streams else 29_000,
            "uri": f"arn:aws:apigateway:eu-central-1:lambda:path/{call}",
        }


def test_cloudfront_signs_for_a_private_url_and_hands_the_key_on(plan: Plans) -> None:
    made = plan(Front="cloudfront", AuthType="AWS_IAM", **KEY)
    (distribution,) = made.of_type("AWS::CloudFront::Distribution")
    (access,) = made.of_type("AWS::CloudFront::OriginAccessControl")
    (function,) = made.of_type("AWS::CloudFront::Function")
    configuration = distribution.properties["DistributionConfig"]
    assert configuration["Origins"][0]["OriginAccessControlId"] == "${UrlAccess.Id}"
    assert configuration["DefaultCacheBehavior"]["FunctionAssociations"] == [
        {"EventType": "viewer-request", "FunctionARN": "${KeyHeader.FunctionARN}"}
    ]
    assert access.properties["OriginAccessControlConfig"] == {
        "Name": "stack",
        "OriginAccessControlOriginType": "lambda",
        "SigningBehavior": "always",
        "SigningProtocol": "sigv4",
    }
    assert "x-api-key" in function.properties["FunctionCode"]


def test_before_an_open_url_cloudfront_adds_nothing(plan: Plans) -> None:
    made = plan(Front="cloudfront", AuthType="NONE", **KEY)
    (distribution,) = made.of_type("AWS::CloudFront::Distribution")
    configuration = distribution.properties["DistributionConfig"]
    assert "OriginAccessControlId" not in configuration["Origins"][0]
    assert "FunctionAssociations" not in configuration["DefaultCacheBehavior"]
    assert made.of_type("AWS::CloudFront::Function") == ()


def test_cloudfront_keeps_nothing_and_compresses_nothing(plan: Plans) -> None:
    (distribution,) = plan(Front="cloudfront", **KEY).of_type("AWS::CloudFront::Distribution")
    behavior = distribution.properties["DistributionConfig"]["DefaultCacheBehavior"]
    assert (behavior["CachePolicyId"], behavior["Compress"]) == ("4135ea2d-6df8-44a3-9df3-4b5a84be39ad", False)
    assert behavior["ViewerProtocolPolicy"] == "https-only"


@pytest.mark.parametrize(
    ("headers", "handed_on"),
    [
        ({"authorization": {"value": "Bearer sk-one"}}, "sk-one"),
        ({"authorization": {"value": "bearer  sk-one"}}, "sk-one"),
        ({"x-api-key": {"value": "sk-two"}}, "sk-two"),
        ({"authorization": {"value": "Basic abc"}, "x-api-key": {"value": "sk-two"}}, "sk-two"),
        ({}, None),
    ],
    ids=str,
)
def test_the_edge_function_hands_the_key_on(
    plan: Plans, headers: Mapping[str, Mapping[str, str]], handed_on: str | None
) -> None:
    """Run by Node: CloudFront's runtime is a part of JavaScript."""
    (function,) = plan(Front="cloudfront", AuthType="AWS_IAM", **KEY).of_type("AWS::CloudFront::Function")
    event = json.dumps({"request": {"method": "POST", "headers": headers}})
    script = f"{function.properties['FunctionCode']}\nconsole.log(JSON.stringify(handler({event})))"
    done = subprocess.run([NODE, "-e", script], capture_output=True, text=True, check=True)
    request = json.loads(done.stdout)
    assert request["headers"].get("x-api-key", {}).get("value") == handed_on
    assert request["method"] == "POST"
