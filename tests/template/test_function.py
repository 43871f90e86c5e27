"""The function: its mode, its environment, its versions, and no reference to what is not there."""

import re
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import pytest

from deployment.plan import Plan, Resource
from handler.settings import PREFIX, Settings, load_settings
from model_export.recipes import DEFAULT, RECIPES
from tests.template.conftest import translated

Plans = Callable[..., Plan]

SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-AbCdEf"

# Settings that the template leaves at their defaults, and why.
NOT_IN_THE_TEMPLATE = {
    "api_keys": "whoever may look at the function would see them: keys are in a secret",
    "embedding_model": "the image says where it is",
    "embedding_model_alias": "it has the name of its checkpoint",
    "memory_mb": "Lambda says how much there is",
    "host": "there is no server of ours on Lambda",
    "port": "there is no server of ours on Lambda",
    "threads": "as many as Lambda gives vCPUs",
    "prefix_cache_mb": "the default fits the least MemorySize",
    "prefix_cache_answers": "a matter of taste, the same on a laptop",
    "max_concurrency": "Lambda asks one thing at a time: ReservedConcurrency is the cap",
    "batching": "Lambda asks one thing at a time",
    "max_choices": "the default is what OpenAI's clients expect",
    "speculation": "the answers are the same",
    "unknown_fields": "a matter of taste, the same on a laptop",
    "deadline_margin_ms": "the default is enough to end an answer",
}


def function(plan: Plan) -> Resource:
    (found,) = plan.of_type("AWS::Lambda::Function")
    return found


def variables(plan: Plan) -> Mapping[str, str]:
    return dict(function(plan).properties["Environment"]["Variables"])


# What is in the environment only where it is given.
OPTIONAL = {
    "ModelLocation": "s3://bucket/prefix",
    "FurtherModel2": "small=s3://bucket/two",
    "GenerateKey": "true",
    "Quotas": "true",
    "PriceGbSecond": ".1",
    "PriceRequest": ".1",
}


def test_every_setting_is_in_the_template_or_has_a_reason_not_to_be(plan: Plans) -> None:
    names = {name.removeprefix(PREFIX).lower() for name in variables(plan(**OPTIONAL))}
    assert names <= set(Settings.model_fields)
    assert names | set(NOT_IN_THE_TEMPLATE) == set(Settings.model_fields)
    assert names & set(NOT_IN_THE_TEMPLATE) == set()


def test_the_function_starts_with_what_the_template_gives_it(plan: Plans, monkeypatch: pytest.MonkeyPatch) -> None:
    given = variables(plan(**OPTIONAL))
    for name, value in given.items():
        monkeypatch.setenv(name, str(value))
    settings = load_settings()
    assert (settings.mode, settings.public, settings.model_alias, settings.has_keys) == (
        "stream",
        False,
        ("chat",),
        True,
    )


@pytest.mark.parametrize(("invoke_mode", "mode"), [("RESPONSE_STREAM", "stream"), ("BUFFERED", "buffered")])
def test_the_functions_mode_follows_the_urls(plan: Plans, invoke_mode: str, mode: str) -> None:
    made = plan(InvokeMode=invoke_mode)
    (url,) = made.of_type("AWS::Lambda::Url")
    assert url.properties == {
        "TargetFunctionArn": "${Endpoint}",
        "Qualifier": "live",
        "AuthType": "AWS_IAM",
        "InvokeMode": invoke_mode,
    }
    assert variables(made)["LLM_MODE"] == mode


@pytest.mark.parametrize(
    ("front", "auth_type", "public"),
    [
        ("function-url", "AWS_IAM", "false"),
        ("function-url", "NONE", "true"),
        ("api-gateway", "AWS_IAM", "false"),
        ("api-gateway", "NONE", "true"),
        ("cloudfront", "AWS_IAM", "true"),
        ("cloudfront", "NONE", "true"),
    ],
)
def test_what_anyone_can_reach_refuses_to_start_without_a_key(
    plan: Plans, front: str, auth_type: str, public: str
) -> None:
    assert variables(plan(Front=front, AuthType=auth_type))["LLM_PUBLIC"] == public


@pytest.mark.parametrize(("reserved", "expected"), [("-1", None), ("0", "0"), ("7", "7")])
def test_minus_one_reserves_nothing_and_zero_stops_all(plan: Plans, reserved: str, expected: str | None) -> None:
    assert function(plan(ReservedConcurrency=reserved)).properties.get("ReservedConcurrentExecutions") == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"GenerateKey": "true"}, "secretsmanager:${GeneratedKey}"),
        ({"KeysSecretArn": SECRET}, f"secretsmanager:{SECRET}"),
        ({"KeysParameter": "/llm/keys"}, "ssm:/llm/keys"),
        ({"KeysParameter": "/llm/keys", "KeysSecretArn": SECRET}, f"secretsmanager:{SECRET},ssm:/llm/keys"),
    ],
    ids=str,
)
def test_where_keys_are_kept(plan: Plans, given: dict[str, str], expected: str | None) -> None:
    assert variables(plan(**given)).get("LLM_API_KEYS_FROM") == expected


def test_a_model_in_s3_takes_the_place_of_the_images(plan: Plans) -> None:
    assert variables(plan(ModelLocation="s3://bucket/a"))["LLM_MODEL"] == "s3://bucket/a"
    assert "LLM_MODEL" not in variables(plan())


def test_further_models_are_a_list(plan: Plans) -> None:
    made = plan(FurtherModel1="s3://bucket/one", FurtherModel3="small=s3://bucket/three")
    assert variables(made)["LLM_MODELS"] == "s3://bucket/one,small=s3://bucket/three"
    assert "LLM_MODELS" not in variables(plan())


def test_snapstart_is_for_published_versions(plan: Plans) -> None:
    assert function(plan(SnapStart="true")).properties["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert function(plan()).properties["SnapStart"] == {"ApplyOn": "None"}


def test_provisioned_concurrency_is_of_the_alias(plan: Plans) -> None:
    (alias,) = plan(ProvisionedConcurrency="3").of_type("AWS::Lambda::Alias")
    assert alias.properties["ProvisionedConcurrencyConfig"] == {"ProvisionedConcurrentExecutions": "3"}
    (alias,) = plan().of_type("AWS::Lambda::Alias")
    assert "ProvisionedConcurrencyConfig" not in alias.properties


def test_an_old_version_does_not_stay_to_be_billed(cloudformation: dict[str, Any]) -> None:
    (version,) = [item for item in cloudformation["Resources"].values() if item["Type"] == "AWS::Lambda::Version"]
    assert version["DeletionPolicy"] == "Delete"


ANOTHER = {
    "Model": "org/name@1",
    "Recipe": "int4",
    "Prefix": "prefix.txt",
    "EmbeddingModel": "default-embedding",
    "ModelAlias": "other",
    "AuthType": "NONE",
    "GenerateKey": "true",
    "KeysSecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-AbCdEf",
    "KeysParameter": "/llm/keys",
    "KeysKmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/one",
    "KeysTtl": "60",
    "Quotas": "true",
    "ModelLocation": "s3://bucket/prefix",
    "FurtherModel1": "s3://bucket/one",
    "FurtherModel2": "s3://bucket/two",
    "FurtherModel3": "s3://bucket/three",
    "ModelsMb": "512",
    "ModelKmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/two",
    "Metrics": "emf",
    "MetricsNamespace": "Mine",
    "ReportCost": "true",
    "PriceRequest": "0.0000003",
    "CorsOrigins": "none",
    "Front": "cloudfront",
    "InvokeMode": "BUFFERED",
    "Architecture": "arm64",
    "MemorySize": "10240",
    "Timeout": "60",
    "EphemeralStorage": "1024",
    "ReservedConcurrency": "3",
    "ProvisionedConcurrency": "2",
    "SnapStart": "true",
    "MaxPromptTokens": "9",
    "MaxOutputTokens": "9",
    "MaxSeconds": "9",
    "MaxBodyBytes": "9999",
    "LogLevel": "debug",
    "LogRetentionDays": "1",
    "Dashboard": "false",
    "Alarms": "false",
    "AlarmEmail": "a@b.c",
    "AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:topic",
    "HourlySpendAlarm": "5",
    "PriceGbSecond": "0.00002",
}
# Not part of a version, so no new one is needed.
OF_NO_VERSION = {"ReservedConcurrentExecutions"}


def test_another_value_is_known_for_every_parameter(template: dict[str, Any]) -> None:
    assert set(ANOTHER) == set(template["Parameters"])


@pytest.mark.parametrize("name", sorted(ANOTHER))
def test_what_changes_the_function_changes_its_image_and_so_publishes_a_version(plan: Plans, name: str) -> None:
    before, after = plan(), plan(**{name: ANOTHER[name]})

    def versioned(made: Plan) -> dict[str, Any]:
        return {key: value for key, value in function(made).properties.items() if key not in OF_NO_VERSION}

    if versioned(before) != versioned(after):
        assert before.build_args != after.build_args


def test_sam_makes_the_same_of_the_template_whatever_the_parameters() -> None:
    """So translating once is enough here, and a version is published for another image alone."""
    first, second = translated({}, {key: value for key, value in ANOTHER.items() if key != "Front"})
    drop = "AWS::ApiGateway::"
    assert [name for name, item in first["Resources"].items() if not item["Type"].startswith(drop)] == [
        name for name, item in second["Resources"].items() if not item["Type"].startswith(drop)
    ]


def test_the_recipes_are_the_exporters(template: dict[str, Any]) -> None:
    recipe = template["Parameters"]["Recipe"]
    assert (recipe["AllowedValues"], recipe["Default"]) == (list(RECIPES), DEFAULT)


@pytest.mark.parametrize(
    "given",
    [
        dict(zip(("AuthType", "Front", "InvokeMode", "Architecture", "SnapStart", "Alarms"), values, strict=True))
        for values in product(
            ("AWS_IAM", "NONE"),
            ("function-url", "api-gateway", "cloudfront"),
            ("RESPONSE_STREAM", "BUFFERED"),
            ("x86_64", "arm64"),
            ("true", "false"),
            ("true", "false"),
        )
    ],
    ids=lambda given: " ".join(given.values()),
)
def test_nothing_refers_to_what_is_not_there(plan: Plans, given: dict[str, str]) -> None:
    """In every combination each `${LogicalId}` that is left is a resource that would be created."""
    made = plan(**given)
    there = {resource.logical_id for resource in made.resources}
    for resource in made.resources:
        if resource.type != "AWS::CloudFront::Function":
            assert references(resource.properties) <= there, resource.logical_id
    assert references(made.outputs) <= there


def references(value: object) -> set[str]:
    return {match[1] for match in re.finditer(r"\$\{(\w+)[.}]", repr(value))}
