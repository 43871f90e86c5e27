"""The line that a request leaves: its members, its level, and the metrics that CloudWatch reads from it."""

import json
import logging
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from handler.bill import Bill
from handler.engine.events import Usage
from handler.errors import ConfigurationError, InvalidRequest
from handler.metrics import METRICS, EmbeddedMetrics
from handler.record import RequestLog, RequestRecord

SCHEMA = json.loads((Path(__file__).parent / "embedded_metric_format.json").read_text())
BILL = Bill(gb_second=0.0, request=0.25, memory_mb=1024)
ALWAYS = ("request_id", "timestamp", "ms")


def line_of(log: RequestLog, record: RequestRecord, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The one line that `write` leaves."""
    caplog.clear()
    with caplog.at_level(logging.INFO, "handler.access"):
        log.write(record)
    (written,) = caplog.records
    line: dict[str, Any] = json.loads(written.getMessage())
    assert written.levelname == line["level"]
    return line


def answered(record: RequestRecord, *, seconds_to_first: float = 0.5, seconds_after: float = 2.0) -> None:
    """An answer of 9 tokens to a prompt of 20."""
    record.model, record.status = "m", 200
    record.token()
    record.finished(Usage(prompt_tokens=20, completion_tokens=9, cached_tokens=16))
    record.first_token = record.started + seconds_to_first
    record.last_token = record.first_token + seconds_after


def test_the_first_request_is_cold_and_pays_for_the_initialisation_apart(caplog: pytest.LogCaptureFixture) -> None:
    log = RequestLog(bill=Bill(gb_second=1.0, request=0.25, memory_mb=1024))
    log.ready(1500)
    first, second = (line_of(log, log.begin(), caplog) for _ in range(2))
    assert (first["cold"], first["init_ms"], first["init_cost_usd"]) == (True, 1500, 1.5)
    assert first.keys() - second.keys() == {"cold", "init_ms", "init_cost_usd"}
    assert 0.25 <= second["cost_usd"] < 5.25  # the request, and the milliseconds that this test took


def test_where_environments_are_provisioned_nobody_waits_for_the_initialisation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = RequestLog(bill=BILL, waits_for_init=False)
    log.ready(1500)
    assert line_of(log, log.begin(), caplog).keys() == {"event", "level", *ALWAYS, "cost_usd"}


def test_the_first_request_after_a_restore_is_cold_but_paid_for_no_initialisation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = RequestLog(bill=BILL, waits_for_init=False)
    log.ready(1500)
    log.restored()
    first, second = (line_of(log, log.begin(), caplog) for _ in range(2))
    assert first.keys() - second.keys() == {"cold", "restored"}


def test_a_line_of_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    log = RequestLog(waits_for_init=False)
    record = log.begin(aws_request_id="aws-1", trace_id="1-2-3")
    record.method, record.path, record.source, record.key = "POST", "/v1/chat/completions", "HTTP API", "alice"
    record.stream, record.sent_bytes = True, 4096
    answered(record)
    record.stopped("stop")
    line = line_of(log, record, caplog)
    for name in ALWAYS:
        line.pop(name)
    assert line == {
        "event": "request",
        "level": "INFO",
        "aws_request_id": "aws-1",
        "trace_id": "1-2-3",
        "key": "alice",
        "source": "HTTP API",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "bytes": 4096,
        "model": "m",
        "stream": True,
        "ttft_ms": 500,
        "tokens_per_second": 4.0,
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "cached_tokens": 16,
        "finish_reason": "stop",
    }


@pytest.mark.parametrize("completion_tokens", [0, 1])
def test_an_answer_of_one_token_has_no_speed(completion_tokens: int, caplog: pytest.LogCaptureFixture) -> None:
    log = RequestLog()
    record = log.begin()
    record.token()
    record.finished(Usage(prompt_tokens=2, completion_tokens=completion_tokens))
    assert "tokens_per_second" not in line_of(log, record, caplog)


def test_the_level_says_whose_fault_it_is_and_no_message_is_told(caplog: pytest.LogCaptureFixture) -> None:
    log = RequestLog(waits_for_init=False)
    refused, failed = log.begin(), log.begin()
    refused.refused(InvalidRequest("it quotes the caller"))
    try:
        raise LookupError("it quotes a prompt")
    except LookupError as error:
        failed.failed(error)
        failed.failed(RuntimeError("what followed"))
    lines = [line_of(log, record, caplog) for record in (refused, failed)]
    assert [(line["level"], line["error"]) for line in lines] == [("INFO", "InvalidRequest"), ("ERROR", "LookupError")]
    assert [place.rpartition(" ")[2] for place in lines[1]["stack"]] == [
        "test_the_level_says_whose_fault_it_is_and_no_message_is_told"
    ]
    assert "quotes" not in json.dumps(lines)


def test_what_a_caller_is_told_is_one_amount_and_only_where_the_operator_wants_it() -> None:
    silent, telling = (
        RequestLog(bill=Bill(gb_second=1e6, request=0.25, memory_mb=1024), tells_cost=t) for t in (False, True)
    )
    assert silent.begin().told_cost() is None
    record = telling.begin()
    told = record.told_cost()
    assert told is not None
    while record.cost() == told:
        pass  # a millisecond costs 1,000 USD here
    assert record.told_cost() == told


def test_the_schema_takes_the_specifications_own_example_and_not_its_opposite() -> None:
    directive = {
        "Namespace": "lambda-function-metrics",
        "Dimensions": [["functionVersion"]],
        "Metrics": [{"Name": "time", "Unit": "Milliseconds"}],
    }
    example: dict[str, Any] = {
        "_aws": {"Timestamp": 1574109732004, "CloudWatchMetrics": [directive]},
        "functionVersion": "$LATEST",
        "time": 100,
    }
    jsonschema.validate(example, SCHEMA)
    directive["Metrics"] = [{"Name": "time", "Unit": "Fortnights"}]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(example, SCHEMA)


def checked(line: dict[str, Any]) -> list[tuple[list[str], list[str]]]:
    """Each directive's dimensions and metrics, after all that the specification demands, in its schema or in words."""
    jsonschema.validate(line, SCHEMA)
    directives = line["_aws"]["CloudWatchMetrics"]
    for directive in directives:
        assert all(isinstance(line[name], str) and line[name] for names in directive["Dimensions"] for name in names)
        values = [line[metric["Name"]] for metric in directive["Metrics"]]
        assert all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        assert 0 < len(values) <= 100
    return [(d["Dimensions"][0], [metric["Name"] for metric in d["Metrics"]]) for d in directives]


def test_the_line_of_a_cold_answer_is_all_metrics_and_the_speeds_are_the_models_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = RequestLog(bill=BILL, metrics=EmbeddedMetrics(namespace="Mine", function="f"))
    log.ready(1500)
    record = log.begin()
    answered(record)
    line = line_of(log, record, caplog)
    assert checked(line) == [
        (["FunctionName"], [metric.name for metric in METRICS]),
        (["FunctionName", "Model"], ["TimeToFirstToken", "TokensPerSecond"]),
    ]
    values = {metric.name: line[metric.name] for metric in METRICS}
    assert isinstance(values.pop("Duration"), int)
    assert values == {
        "Requests": 1,
        "Errors": 0,
        "Throttles": 0,
        "Disconnects": 0,
        "ColdStarts": 1,
        "InitDuration": 1500,
        "TimeToFirstToken": 500,
        "TokensPerSecond": 4.0,
        "PromptTokens": 20,
        "CachedTokens": 16,
        "CompletionTokens": 9,
        "Cost": 0.25,
    }
    assert (line["FunctionName"], line["Model"], line["_aws"]["CloudWatchMetrics"][0]["Namespace"]) == (
        "f",
        "m",
        "Mine",
    )


@pytest.mark.parametrize(
    ("status", "counted"), [(200, []), (400, []), (429, ["Throttles"]), (500, ["Errors"]), (503, ["Errors"])]
)
def test_a_request_without_an_answer_counts_too(
    status: int, counted: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    log = RequestLog(metrics=EmbeddedMetrics(), waits_for_init=False)
    record = log.begin()
    record.status = status
    line = line_of(log, record, caplog)
    [(dimensions, names)] = checked(line)
    assert dimensions == []  # no function's name on a laptop, no model where none was asked
    assert names == ["Requests", "Errors", "Throttles", "Disconnects", "ColdStarts", "Duration"]
    assert [name for name in ("Errors", "Throttles", "Disconnects", "ColdStarts") if line[name]] == counted


def test_the_cost_of_an_initialisation_is_spent_too(caplog: pytest.LogCaptureFixture) -> None:
    log = RequestLog(bill=Bill(gb_second=1e-9, request=0.25, memory_mb=1024 * 1000), metrics=EmbeddedMetrics())
    log.ready(1_000_000)
    line = line_of(log, log.begin(), caplog)
    assert line["Cost"] == line["cost_usd"] + line["init_cost_usd"]
    assert line["init_cost_usd"] == 0.001


@pytest.mark.parametrize("namespace", ["", "x" * 256, "AWS/Lambda"])
def test_a_namespace_that_cloudwatch_refuses_is_refused(namespace: str) -> None:
    with pytest.raises(ConfigurationError, match="LLM_METRICS_NAMESPACE takes 1 to 255 characters"):
        EmbeddedMetrics(namespace=namespace)
