"""Targets are computed from results, and what was not measured is not judged."""

from tests.bench.canned import CANNED, measured
from tests.bench.names import (
    BATCHING,
    CHOICES,
    FORMATS,
    LLAMA_SERVER,
    PREFIX_CACHE,
    SERVER,
    SPECULATION,
)
from tests.bench.results import Results
from tests.bench.targets import Target, targets


def test_speed_counts_only_with_quality_and_the_missing_are_not_judged() -> None:
    assert targets(CANNED)[:4] == [
        Target("decode, T1, against llama.cpp Q8_0", "≥ 2 ×, KL no worse", "2.50 ×, KL 0.5 × its", True),
        Target("decode, T1, against OpenVINO GenAI int8", "≥ 2 ×, KL no worse", "–", None),
        Target("decode, T1, against the fastest 4-bit peer (llama.cpp Q4_0)", "≥ 1.3 ×", "1.11 ×", False),
        # 100 tokens/s × (150 MB + 112 × 50 kB) of 20 GB/s
        Target("decode, T1, of the limit that reading memory sets", "≥ 80 %", "78%", False),
    ]


def test_a_faster_model_that_is_worse_does_not_win() -> None:
    worse = Results((*CANNED.measurements, measured("quality", "llama.cpp Q8_0", "mean KL", 0.005)))
    assert targets(worse)[0].met is False


def test_nothing_measured_means_nothing_judged() -> None:
    assert {target.met for target in targets(Results(()))} == {None}


def test_the_servers_targets() -> None:
    on, off = PREFIX_CACHE
    results = Results(
        (
            measured("startup", SERVER, "ready", 390.0, "ms"),
            measured("startup", LLAMA_SERVER, "ready", 300.0, "ms"),
            measured("formats", FORMATS[0], "JSON", 150.0, "tokens/s"),
            measured("formats", FORMATS[1], "JSON", 100.0, "tokens/s"),
            measured("copying", SPECULATION[0], "copies the prompt", 210.0, "tokens/s"),
            measured("copying", SPECULATION[1], "copies the prompt", 100.0, "tokens/s"),
            measured("second_turn", on, "second turn", 20.0, "ms", at=100),
            measured("second_turn", on, "second turn", 24.0, "ms", at=1500),
            measured("second_turn", off, "second turn", 900.0, "ms", at=1500),
            measured("second_turn", on, "prefilled", 12.0, "tokens", at=100),
            measured("second_turn", on, "prefilled", 12.0, "tokens", at=1500),
            measured("choices", CHOICES[0], "choices", 1.0, "s"),
            measured("choices", CHOICES[1], "choices", 1.7, "s"),
            measured("batching", BATCHING[0], "together", 1.0, "tokens/s", at=1),
            measured("overhead", SERVER, "above the engine", 48.0, "µs"),
            measured("memory", SERVER, "peak memory", 290.0, "MB"),
            measured("memory", SERVER, "weights and KV", 200.0, "MB"),
        )
    )
    assert [target for target in targets(results) if target.met is not None] == [
        Target("process start to ready", "≤ 400 ms", "390 ms", True),
        Target("process start to ready, against llama.cpp server", "≤ 1 ×", "1.30 ×", False),
        Target("JSON by a schema, against free text", "≥ 1.4 ×", "1.50 ×", True),
        Target("speculation, on against off: copies the prompt", "≥ 2 ×", "2.10 ×", True),
        Target("second turn: tokens prefilled beyond the new ones, at the longest history", "0", "0", True),
        Target("second turn: first text after 1,500 tokens, against 100", "≤ 1.25 ×", "1.20 ×", True),
        Target("n = 4, against n = 1", "≤ 1.6 ×", "1.70 ×", False),
        Target("our work above the engine, per streamed token", "≤ 50 µs", "48 µs", True),
        Target("peak memory of the server, against weights and KV", "≤ 1.5 ×", "1.45 ×", True),
    ]
