"""Intrinsic functions by hand-computed values, and by another evaluator: moto's CloudFormation."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
from moto.cloudformation.parsing import clean_json, parse_condition

from deployment.errors import DeploymentError
from deployment.intrinsics import NO_VALUE, Scope, evaluate
from deployment.parameters import resolve

SCOPE = Scope(
    parameters={"Name": "n", "Count": "3", "AWS::Region": "eu-central-1"},
    mappings={"Prices": {"Hour": {"arm": "1", "x86": "2"}}},
    conditions={
        "Yes": {"Fn::Equals": [{"Ref": "Count"}, 3]},
        "No": {"Fn::Not": [{"Condition": "Yes"}]},
        "Both": {"Fn::And": [{"Condition": "Yes"}, {"Condition": "No"}]},
        "Either": {"Fn::Or": [{"Condition": "Yes"}, {"Condition": "No"}]},
    },
    resources=frozenset({"Table", "Url"}),
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Name"}, "n"),
        ({"Ref": "Table"}, "${Table}"),
        ({"Ref": "AWS::NoValue"}, NO_VALUE),
        ({"Fn::GetAtt": ["Table", "Arn"]}, "${Table.Arn}"),
        ({"Fn::GetAtt": ["Url", "FunctionUrl"]}, "https://${Url}.lambda-url.eu-central-1.on.aws/"),
        ({"Fn::Sub": "${Name}-${Table}-${Table.Arn}-${!Name}"}, "n-${Table}-${Table.Arn}-${Name}"),
        ({"Fn::Sub": ["${Name}${Own}", {"Own": {"Ref": "Count"}}]}, "n3"),
        ({"Fn::Join": ["/", ["a", {"Ref": "AWS::NoValue"}, {"Ref": "Count"}]]}, "a/3"),
        ({"Fn::Select": [1, {"Fn::Split": ["/", "a/b/c"]}]}, "b"),
        ({"Fn::FindInMap": ["Prices", "Hour", "arm"]}, "1"),
        ({"Fn::If": ["Yes", "a", {"Ref": "Nowhere"}]}, "a"),
        ({"Fn::If": ["No", "a", "b"]}, "b"),
        ({"a": {"Ref": "AWS::NoValue"}, "b": [{"Fn::If": ["No", "a", {"Ref": "AWS::NoValue"}]}]}, {"b": []}),
        ({"Fn::Contains": [["1", "3"], {"Ref": "Count"}]}, True),
        ({"Condition": "Both"}, False),
        ({"Condition": "Either"}, True),
        # A key of IAM's, and no reference.
        ({"Condition": {"Bool": {"a": "true"}}}, {"Condition": {"Bool": {"a": "true"}}}),
    ],
    ids=str,
)
def test_a_function_gives(value: Any, expected: Any) -> None:
    assert evaluate(value, SCOPE) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"Ref": "Nowhere"}, "Nowhere is neither a parameter nor a resource"),
        ({"Fn::Sub": "${Nowhere}"}, "Nowhere is neither"),
        ({"Fn::GetAtt": ["Nowhere", "Arn"]}, "Nowhere is not a resource"),
        ({"Fn::If": ["Nowhere", 1, 2]}, "Nowhere is not one of the template's Conditions"),
        ({"Fn::Select": [2, ["a"]]}, "item 2 of 1"),
        ({"Fn::FindInMap": ["Prices", "Hour", "mips"]}, "no 'mips'"),
        ({"Fn::Base64": "a"}, "Fn::Base64 is not evaluated here; known: Fn::And"),
    ],
    ids=str,
)
def test_what_cannot_be_evaluated_is_an_error(value: Any, message: str) -> None:
    with pytest.raises(DeploymentError, match=message):
        evaluate(value, SCOPE)


COMBINATIONS = [
    dict(zip(("AuthType", "Front", "InvokeMode", "SnapStart", "Architecture", "AlarmEmail"), values, strict=True))
    for values in product(
        ("AWS_IAM", "NONE"),
        ("function-url", "api-gateway", "cloudfront"),
        ("RESPONSE_STREAM", "BUFFERED"),
        ("true", "false"),
        ("arm64", "x86_64"),
        ("", "a@b.c"),
    )
]


def test_every_condition_holds_where_moto_says_so(template: Mapping[str, Any]) -> None:
    conditions = template["Conditions"]
    for given in COMBINATIONS:
        values = resolve(template["Parameters"], given)
        ours = Scope(parameters=values, conditions=conditions)
        assert {name: ours.holds(name) for name in conditions} == {
            name: parse_condition(condition, values, conditions) for name, condition in conditions.items()
        }


def test_a_text_is_put_together_as_moto_does() -> None:
    value = {
        "Fn::Join": [
            "-",
            [
                {"Fn::Select": ["1", {"Fn::Split": ["/", "a/b/c"]}]},
                {"Fn::Sub": ["${Name} and ${Own}", {"Own": "x"}]},
                {"Fn::FindInMap": ["Prices", "Hour", "x86"]},
            ],
        ]
    }
    assert evaluate(value, SCOPE) == clean_json(value, {**SCOPE.parameters, **SCOPE.mappings}) == "b-n and x-2"
