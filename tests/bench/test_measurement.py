"""Statistics, and measurements as lines of JSON."""

from pathlib import Path

from tests.bench.command import Missing, Options, Record, alternate, run
from tests.bench.machine import Machine
from tests.bench.measurement import Measurement, read, summary


def test_of_costs_p90_is_what_nine_in_ten_do_not_exceed() -> None:
    assert summary([5.0, 1.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0, 9.0, 10.0], "ms") == (5.5, 9.0)


def test_of_rates_p90_is_what_nine_in_ten_reach() -> None:
    assert summary([5.0, 1.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0, 9.0, 10.0], "tokens/s") == (5.5, 2.0)


def test_systems_take_turns_and_the_warm_up_is_dropped() -> None:
    asked: list[str] = []

    def measure(system: str) -> float:
        asked.append(system)
        return float(len(asked))

    assert alternate(["a", "b"], measure, rounds=2) == {"a": [3.0, 5.0], "b": [4.0, 6.0]}
    assert asked == ["a", "b", "a", "b", "a", "b"]


def test_a_system_that_fails_is_asked_no_more_and_the_others_go_on() -> None:
    asked: list[str] = []
    reason = Missing("it crashed")

    def measure(system: str) -> float:
        asked.append(system)
        if system == "a" and len(asked) > 2:
            raise reason
        return 1.0

    assert alternate(["a", "b"], measure, rounds=2) == {"a": reason, "b": [1.0, 1.0]}
    assert asked == ["a", "b", "a", "b", "b"]


def test_a_bench_writes_a_line_for_each_measurement(tmp_path: Path) -> None:
    def measure(options: Options, record: Record) -> None:
        assert options == Options(quick=True)
        record.samples("lambda-llm int8", "decode", [1.0, 3.0], "tokens/s", threads=1, recipe="int8")
        record.missing("peer", "decode", "tokens/s", Missing("no such package"), threads=1)

    out = tmp_path / "results" / "decode.jsonl"
    assert run("decode", measure, ["--quick", "--out", str(out)]) == 0
    ours, peer = read([out])
    assert (ours.system, ours.value, ours.median, ours.p90, ours.n) == ("lambda-llm int8", 2.0, 2.0, 1.0, 2)
    assert (peer.system, peer.value, peer.n, peer.note) == ("peer", None, 0, "no such package")
    assert [path.name for path in out.parent.iterdir()] == ["decode.jsonl"]


def test_a_line_names_what_it_was_measured_on(tmp_path: Path) -> None:
    machine = Machine("abc", "a processor", ("avx2",), "2026-11-22T12:00:00+00:00")
    with (tmp_path / "decode.jsonl").open("w") as file:
        Record("decode", machine, file).samples("a", "decode", [2.0], "tokens/s", at=3, versions={"package": "1.2"})
    assert read([tmp_path / "decode.jsonl"]) == [
        Measurement(
            bench="decode",
            system="a",
            metric="decode",
            unit="tokens/s",
            value=2.0,
            median=2.0,
            p90=2.0,
            n=1,
            at=3,
            threads=2,
            model="SmolLM2-135M-Instruct",
            recipe="",
            versions={"package": "1.2"},
            commit="abc",
            cpu="a processor",
            cpu_features=("avx2",),
            date="2026-11-22T12:00:00+00:00",
        )
    ]
