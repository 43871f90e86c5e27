"""`make cost`: dollars that anyone can work out by hand, from measurements and prices made for it."""

import json
import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from cost.__main__ import committed_picture, main
from cost.comparison import DAYS, HOURS, AlwaysOn, Comparison, Lambda, PerToken, Workload, compare
from cost.errors import CannotEstimate
from cost.picture import picture
from cost.prices import PUBLISHED, Prices, Server, TokenApi, read_prices, with_changes
from cost.report import table
from cost.speeds import Speeds, read_speeds
from docs.tables import COSTS
from handler.bill import Bill

FIGURES = {
    ("decode", "lambda-llm int8", "decode"): (50.0, 80.0),
    ("prefill", "lambda-llm int8", "prefill 512"): (400.0, 600.0),
    ("prefill", "lambda-llm int8", "prefill 2000"): (200.0, 500.0),
    ("prefill", "lambda-llm int8", "peak memory"): (400.0, 420.0),
    ("startup", "lambda-llm server", "ready"): (None, 1500.0),
}
# A second costs a cent, and a request nothing else.
CENT = Bill(gb_second=0.01, request=0.0, memory_mb=1024)
# 100 prompt tokens take a second, as do 10 of the answer.
PLAIN = Speeds(
    prefill_short=100.0, prefill_long=100.0, decode=10.0, init=2.0, peak_mb=100.0, measured_on="paper", basis="by hand"
)
WORK = Workload(requests=1000, prompt=100, completion=10)  # 2 seconds, 2 cents
OURS = Lambda(bill=CENT, speeds=PLAIN)


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    rows = [
        {"bench": bench, "system": system, "metric": metric, "threads": threads, "value": value}
        | {"model": "M", "recipe": "int8", "cpu": "C", "cpu_features": ["avx2"], "date": "2026-11-22T00:00:00+00:00"}
        for (bench, system, metric), values in FIGURES.items()
        for threads, value in zip((1, 2), values, strict=True)
    ]
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("memory", "decode", "basis"),
    [
        (1769, 50.0, "measured at 1 core"),
        (3538, 80.0, "measured at 2 cores"),
        (884.5, 25.0, "scaled: 0.50 of the speed measured at 1 core"),
        (2653.5, 65.0, "scaled: 1.50 cores, between the speeds measured at 1 and at 2"),
        (7076, 80.0, "taken from 2 cores, the most that was measured, for 4.00"),
    ],
)
def test_memory_is_cores_and_what_was_not_measured_is_said(
    memory: float, decode: float, basis: str, measured: Path
) -> None:
    speeds = read_speeds("int8", memory, measured)  # halves of cores, for round numbers
    assert (speeds.decode, speeds.basis, speeds.init) == (decode, basis, 1.5)
    assert speeds.measured_on == "M int8 on C (avx2), 2026-11-22"


def test_a_longer_prompt_runs_slower_as_far_as_was_measured(measured: Path) -> None:
    speeds = read_speeds("int8", 1769, measured)
    assert [speeds.prefill(tokens) for tokens in (1, 512, 1256, 2000, 9000)] == [400, 400, 300, 200, 200]
    assert speeds.seconds(512, 100) == pytest.approx(512 / 400 + 2)


def test_what_was_not_measured_or_does_not_fit_is_refused(measured: Path) -> None:
    with pytest.raises(CannotEstimate, match="'int3' has not been measured: RECIPE is one of int8"):
        read_speeds("int3", 1769, measured)
    with pytest.raises(CannotEstimate, match="int8 used 420 MB at its peak, 256 MB do not suffice"):
        read_speeds("int8", 256, measured)


def test_a_request_on_lambda_costs_its_seconds_and_the_share_of_cold_starts() -> None:
    assert (OURS.of_request(100, 10), OURS.of_cold_start()) == (0.02, 0.02)
    cold = math.exp(-1000 * 10 / 1440)
    assert OURS.cold_share(1000) == pytest.approx(cold)
    assert OURS.monthly(WORK) == pytest.approx(DAYS * 1000 * (0.02 + cold * 0.02))


def test_who_is_hardly_asked_is_nearly_always_cold_and_who_is_asked_always_never() -> None:
    assert OURS.cold_share(1) == pytest.approx(0.993, abs=0.001)
    assert OURS.cold_share(100_000) == pytest.approx(0.0)


def test_servers_are_as_many_as_the_requests_need() -> None:
    way = AlwaysOn(server=Server(name="s", usd_per_hour=1.0, cores=2), speeds=PLAIN, utilization=0.5)
    assert way.capacity(WORK) == 21_600  # half of a day's seconds, two for each
    assert [way.count(replace(WORK, requests=n)) for n in (1, 21_600, 21_601, 64_801)] == [1, 1, 2, 4]
    assert way.monthly(WORK) == HOURS
    unknown = AlwaysOn(server=Server(name="gpu", usd_per_hour=1.0), speeds=PLAIN)
    assert (unknown.capacity(WORK), unknown.count(replace(WORK, requests=1e9))) == (None, 1)


def test_an_api_costs_its_tokens() -> None:
    way = PerToken(api=TokenApi(name="a", usd_per_million_prompt=10.0, usd_per_million_completion=100.0))
    assert way.of_request(100, 10) == pytest.approx(0.002)
    assert way.monthly(WORK) == pytest.approx(DAYS * 2)


def compared(usd_per_hour: float = 1.0) -> Comparison:
    return compare(OURS, PLAIN, Prices(servers=(Server(name="s", usd_per_hour=usd_per_hour, cores=2),), apis=()))


def test_the_break_even_is_where_both_cost_the_same() -> None:
    comparison = compared()
    (way,) = comparison.servers
    even = comparison.break_even(way, WORK)
    assert even == pytest.approx(1200, abs=2)  # 24 dollars a day are 1,200 requests of 2 cents
    assert "cheaper from 1,2" in table(comparison, WORK)


def test_a_server_that_could_not_answer_so_many_is_never_cheaper() -> None:
    assert "never cheaper: one answers 21,600 a day, and would have to answer 120,0" in table(
        compared(usd_per_hour=100.0), WORK
    )


def test_prices_on_the_command_line_replace_and_add() -> None:
    prices = Prices(servers=(Server(name="s", usd_per_hour=1.0, cores=2),), apis=())
    assert with_changes(prices, hourly=["s=0.5", "a=b=2"], per_token=["t=1,2.5"]) == Prices(
        servers=(Server(name="s", usd_per_hour=0.5, cores=2), Server(name="a=b", usd_per_hour=2.0)),
        apis=(TokenApi(name="t", usd_per_million_prompt=1.0, usd_per_million_completion=2.5),),
    )


@pytest.mark.parametrize("text", ["s", "=1", "s=", "s=cheap", "s=1,2", "s=-1", "s=nan"])
def test_a_price_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(CannotEstimate, match="is not of the form NAME=USD_PER_HOUR"):
        with_changes(Prices(servers=(), apis=()), hourly=[text], per_token=[])


def test_every_published_price_has_a_date_and_a_source() -> None:
    prices = read_prices()
    assert all(row.as_of and row.source for row in (*prices.servers, *prices.apis))


def test_a_file_that_is_no_prices_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text('{"hourly": []}')
    with pytest.raises(CannotEstimate, match=f"does not read as prices .KeyError.: see {PUBLISHED}"):
        read_prices(path)


def test_the_picture_has_a_line_for_each_way_and_its_points_are_the_costs() -> None:
    comparison = compared()
    drawn = ET.fromstring(picture(comparison, WORK, "title", "note"))
    lines = drawn.findall("{*}polyline")
    assert len(lines) == 2
    texts = [element.text for element in drawn.findall("{*}text")]
    assert {"title", "note", "this, on Lambda", "s", "1,000,000"} <= set(texts)
    heights = [float(point.split(",")[1]) for point in str(lines[1].get("points")).split()]
    assert heights[0] > heights[-1]  # more servers at the end, and up is smaller
    assert len(set(heights[:60])) == 1  # one server until it is busy


def test_the_command_prints_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str], measured: Path) -> None:
    drawn = tmp_path / "new" / "cost.svg"
    arguments = ["--results", str(measured), "--picture", str(drawn), "--requests", "100", "--hourly", "mine=0.01"]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert told.startswith("100 requests a day, 500 prompt and 200 answer tokens a request\n\n| way |")
    assert "| mine |" in told
    assert ET.parse(drawn).getroot().tag.endswith("svg")


def test_the_command_refuses_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--recipe", "int3"]) == 1
    assert main(["--arch", "riscv64"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in told] == ["cost", "cost"]


def test_the_readmes_picture_is_up_to_date() -> None:
    assert COSTS.read_text() == committed_picture(), "run `make docs`"
