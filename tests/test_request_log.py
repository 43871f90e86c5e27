"""The settings and what Lambda tells, put together: what a request costs, who is told, and what is refused at start."""

import os

import pytest

from handler.bill import PUBLISHED_GB_SECOND
from handler.errors import ConfigurationError
from handler.record import RequestRecord
from handler.request_log import request_log_of
from handler.settings import load_lambda_environment, load_settings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("LLM_", "AWS_LAMBDA_")):
            monkeypatch.delenv(name)


def begun(monkeypatch: pytest.MonkeyPatch, **variables: str) -> RequestRecord:
    """The first request's record, where the environment has these variables."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    log = request_log_of(load_settings(), load_lambda_environment())
    log.ready(1000)
    return log.begin()


def test_a_laptop_knows_no_cost_and_its_first_request_is_cold(monkeypatch: pytest.MonkeyPatch) -> None:
    record = begun(monkeypatch)
    assert (record.bill, record.told_cost(), record.cold, record.init_ms) == (None, None, True, 1000)


def test_on_lambda_the_published_price_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    record = begun(monkeypatch, AWS_LAMBDA_FUNCTION_MEMORY_SIZE="1769", LLM_REPORT_COST="true")
    assert record.bill is not None
    assert (record.bill.gb_second, record.bill.memory_mb) == (PUBLISHED_GB_SECOND[os.uname().machine], 1769)
    assert record.told_cost() is not None


def test_a_price_that_is_set_is_the_price(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"LLM_PRICE_GB_SECOND": "0", "LLM_PRICE_REQUEST": "0.5", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}
    assert begun(monkeypatch, **variables).cost() == 0.5


@pytest.mark.parametrize("kind", ["provisioned-concurrency", "snap-start"])
def test_an_environment_that_was_made_ahead_is_not_cold(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    record = begun(monkeypatch, AWS_LAMBDA_INITIALIZATION_TYPE=kind)
    assert (record.cold, record.init_ms) == (False, None)


@pytest.mark.parametrize(
    "variables",
    [
        {"LLM_REPORT_COST": "true"},
        {"LLM_REPORT_COST": "true", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769", "AWS_LAMBDA_MAX_CONCURRENCY": "4"},
    ],
    ids=["laptop", "managed instances"],
)
def test_telling_a_cost_that_nobody_knows_is_refused(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="LLM_REPORT_COST is true, and what a request costs here is not known"):
        begun(monkeypatch, **variables)


def test_a_namespace_that_cloudwatch_refuses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="LLM_METRICS_NAMESPACE"):
        begun(monkeypatch, LLM_METRICS="emf", LLM_METRICS_NAMESPACE="AWS/Lambda")
