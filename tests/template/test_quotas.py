"""The table that the template creates is one that the counter counts in."""

from collections.abc import Callable

import boto3
import pytest
from moto import mock_aws

from deployment.plan import Plan
from handler.aws.counter import DynamoCounter
from tests.template.conftest import REGION

Plans = Callable[..., Plan]


def test_the_counter_counts_in_the_table_of_the_template(plan: Plans, monkeypatch: pytest.MonkeyPatch) -> None:
    (table,) = plan(Quotas="true", GenerateKey="true").of_type("AWS::DynamoDB::Table")
    properties = dict(table.properties)
    assert properties.pop("TimeToLiveSpecification") == {"AttributeName": "expires", "Enabled": True}
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with mock_aws():
        dynamodb = boto3.client("dynamodb")
        dynamodb.create_table(TableName="quotas", **properties)
        DynamoCounter("quotas").add("alice/requests/now", 2, limit=3, expires=4_000_000_000)
        (item,) = dynamodb.scan(TableName="quotas")["Items"]
    assert item == {"counter": {"S": "alice/requests/now"}, "used": {"N": "2"}, "expires": {"N": "4000000000"}}
