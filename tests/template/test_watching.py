"""Alarms, dashboard and outputs: valid whatever the parameters, and about the function that there is."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from deployment.plan import Plan
from handler.bill import PUBLISHED_GB_SECOND
from handler.key_list import read_key_list
from handler.metrics import METRICS
from tests.template.listener import listening

Plans = Callable[..., Plan]

KEY = {"GenerateKey": "true"}
TOPIC = "arn:aws:sns:eu-central-1:123456789012:mine"


def metric_data(name: str, statistic: str) -> dict[str, object]:
    return {
        "Metric": {
            "Namespace": "AWS/Lambda",
            "MetricName": name,
            "Dimensions": [{"Name": "FunctionName", "Value": "${Endpoint}"}],
        },
        "Stat": statistic,
        "Period": 300,
    }


def test_errors_and_throttles_of_five_minutes_are_told(plan: Plans) -> None:
    alarms = {alarm.logical_id: alarm.properties for alarm in plan().of_type("AWS::CloudWatch::Alarm")}
    assert set(alarms) == {"ErrorsAlarm", "ThrottlesAlarm", "DurationAlarm", "SpendAlarm"}
    for name in ("Errors", "Throttles"):
        alarm = dict(alarms[f"{name}Alarm"])
        del alarm["AlarmDescription"]
        assert alarm == {
            "Namespace": "AWS/Lambda",
            "MetricName": name,
            "Dimensions": [{"Name": "FunctionName", "Value": "${Endpoint}"}],
            "Statistic": "Sum",
            "Period": 300,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 0,
            "TreatMissingData": "notBreaching",
        }


def test_the_duration_is_held_against_the_timeout(plan: Plans) -> None:
    (alarm,) = [alarm for alarm in plan(Timeout="300").resources if alarm.logical_id == "DurationAlarm"]
    share, longest = alarm.properties["Metrics"]
    assert (share["Expression"], alarm.properties["Threshold"]) == ("100 * longest / (300 * 1000)", 90)
    assert longest == {"Id": "longest", "ReturnData": False, "MetricStat": metric_data("Duration", "Maximum")}


@pytest.mark.parametrize(
    ("given", "price"),
    [
        ({"Architecture": "x86_64"}, 0.0000166667),
        ({"Architecture": "arm64"}, 0.0000133334),
        ({"Architecture": "arm64", "PriceGbSecond": "0.00002"}, 0.00002),
    ],
)
def test_the_spend_rate_is_gb_seconds_times_the_price(plan: Plans, given: dict[str, str], price: float) -> None:
    made = plan(MemorySize="2048", HourlySpendAlarm="0.5", **given)
    (alarm,) = [alarm for alarm in made.resources if alarm.logical_id == "SpendAlarm"]
    rate, busy = alarm.properties["Metrics"]
    assert busy == {"Id": "busy", "ReturnData": False, "MetricStat": metric_data("Duration", "Sum")}
    # One environment of 2 GB that was busy for all of the five minutes: 2 GB × 3,600 s in an hour.
    in_an_hour = eval(rate["Expression"], {"busy": 300_000})
    assert in_an_hour == pytest.approx(2 * 3600 * price)
    assert alarm.properties["Threshold"] == "0.5"


@pytest.mark.parametrize(
    ("given", "actions"),
    [
        ({}, None),
        ({"AlarmTopicArn": TOPIC}, [TOPIC]),
        ({"AlarmEmail": "a@b.c"}, ["${AlarmTopic}"]),
    ],
    ids=["nobody", "topic", "mail"],
)
def test_who_is_told(plan: Plans, given: dict[str, str], actions: list[str] | None) -> None:
    made = plan(**given)
    assert [alarm.properties.get("AlarmActions") for alarm in made.of_type("AWS::CloudWatch::Alarm")] == [actions] * 4
    topics = [topic.properties for topic in made.of_type("AWS::SNS::Topic")]
    assert topics == ([{"Subscription": [{"Protocol": "email", "Endpoint": "a@b.c"}]}] if "AlarmEmail" in given else [])


def test_without_alarms_there_are_none(plan: Plans) -> None:
    assert plan(Alarms="false").of_type("AWS::CloudWatch::Alarm") == ()


def test_the_dashboard_is_json_about_this_function_and_region(plan: Plans) -> None:
    (dashboard,) = plan().of_type("AWS::CloudWatch::Dashboard")
    widgets = json.loads(dashboard.properties["DashboardBody"])["widgets"]
    assert [widget["properties"]["region"] for widget in widgets] == ["eu-central-1"] * len(widgets)
    assert all(widget["properties"]["metrics"][0][3] == "${Endpoint}" for widget in widgets)
    assert plan(Dashboard="false").of_type("AWS::CloudWatch::Dashboard") == ()


URL = "https://${EndpointUrl}.lambda-url.eu-central-1.on.aws"
API = "https://${EndpointApi}.execute-api.eu-central-1.amazonaws.com/live"
CLOUDFRONT = "https://${Distribution.DomainName}"


@pytest.mark.parametrize(
    ("front", "auth_type", "base", "proof"),
    [
        ("function-url", "NONE", URL, '-H "Authorization: Bearer $KEY"'),
        ("function-url", "AWS_IAM", URL, '--aws-sigv4 "aws:amz:eu-central-1:lambda"'),
        ("api-gateway", "NONE", API, '-H "Authorization: Bearer $KEY"'),
        ("api-gateway", "AWS_IAM", API, '--aws-sigv4 "aws:amz:eu-central-1:execute-api"'),
        ("cloudfront", "NONE", CLOUDFRONT, '-H "Authorization: Bearer $KEY"'),
        ("cloudfront", "AWS_IAM", CLOUDFRONT, 'x-amz-content-sha256: $(printf %s "$BODY" | sha256sum'),
    ],
)
def test_the_outputs_say_where_and_how_to_call(plan: Plans, front: str, auth_type: str, base: str, proof: str) -> None:
    outputs = plan(Front=front, AuthType=auth_type, ModelAlias="mine,other", **KEY).outputs
    assert outputs["BaseUrl"] == f"{base}/v1"
    assert f"curl -N {base}/v1/chat/completions" in outputs["TryIt"]
    assert proof in outputs["TryIt"]
    assert '{"model":"mine","messages":' in outputs["TryIt"]


@pytest.mark.parametrize(
    ("front", "auth_type", "expected"),
    [
        ("function-url", "NONE", {"authorization": "Bearer the-key"}),
        ("cloudfront", "NONE", {"authorization": "Bearer the-key"}),
        ("function-url", "AWS_IAM", {"authorization": "AWS4-HMAC-SHA256 Credential=AK/"}),
        ("api-gateway", "AWS_IAM", {"authorization": "AWS4-HMAC-SHA256 Credential=AK/"}),
        ("cloudfront", "AWS_IAM", {"authorization": "Bearer the-key", "x-amz-content-sha256": ""}),
    ],
)
def test_the_example_in_python_runs(
    plan: Plans, monkeypatch: pytest.MonkeyPatch, front: str, auth_type: str, expected: dict[str, str]
) -> None:
    """As it is printed, but for the address."""
    for name, value in {"KEY": "the-key", "AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)
    outputs = plan(Front=front, AuthType=auth_type, **KEY).outputs
    assert f'base_url="{outputs["BaseUrl"]}"' in outputs["Python"]
    with listening() as server:
        here = f"http://127.0.0.1:{server.server_port}/v1"
        exec(outputs["Python"].replace(outputs["BaseUrl"], here), {})
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert json.loads(request.body)["model"] == "chat"
    assert [request.headers[name].startswith(start) for name, start in expected.items()] == [True] * len(expected)
    if "x-amz-content-sha256" in expected:
        assert request.headers["x-amz-content-sha256"] == hashlib.sha256(request.body).hexdigest()


def test_a_generated_key_is_in_no_output_but_where_to_see_it_is(plan: Plans) -> None:
    made = plan(AuthType="NONE", GenerateKey="true")
    assert made.outputs["KeyCommand"].startswith("aws secretsmanager get-secret-value --region eu-central-1 ")
    (secret,) = made.of_type("AWS::SecretsManager::Secret")
    generated = secret.properties["GenerateSecretString"]
    entry = {**json.loads(generated["SecretStringTemplate"]), generated["GenerateStringKey"]: "k" * 40}
    assert generated["PasswordLength"] == 40
    (key,) = read_key_list(json.dumps(entry), where="the secret", public=True)
    assert key.name == "owner"
    assert "KeyCommand" not in plan().outputs


def test_the_prices_are_those_that_answers_are_billed_by(template: dict[str, Any]) -> None:
    prices = template["Mappings"]["Prices"]["GbSecond"]
    assert {name: float(price) for name, price in prices.items()} == {
        "x86": PUBLISHED_GB_SECOND["x86_64"],
        "arm": PUBLISHED_GB_SECOND["arm64"],
    }


def test_the_dashboard_shows_metrics_that_there_are(plan: Plans) -> None:
    (dashboard,) = plan(Metrics="emf", MetricsNamespace="Mine").of_type("AWS::CloudWatch::Dashboard")
    widgets = json.loads(dashboard.properties["DashboardBody"])["widgets"]
    assert len(widgets) == 9
    shown: set[str] = set()
    for widget in widgets:
        first = widget["properties"]["metrics"][0]
        if first[0] == "Mine":
            assert first[2:4] == ["FunctionName", "${Endpoint}"]
            names = (name for metric in widget["properties"]["metrics"] for name in metric[1:2])
            shown |= {name for name in names if isinstance(name, str)}
    assert shown <= {metric.name for metric in METRICS}
    assert shown >= {"TokensPerSecond", "TimeToFirstToken", "ColdStarts", "Cost"}
