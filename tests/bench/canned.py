"""A few measurements by hand, for the tests of the report."""

from tests.bench.measurement import Measurement
from tests.bench.names import ENGINE, OURS
from tests.bench.results import Results


def measured(
    bench: str,
    system: str,
    metric: str,
    value: float | None,
    unit: str = "",
    *,
    threads: int = 2,
    at: int | None = None,
) -> Measurement:
    return Measurement(
        bench=bench,
        system=system,
        metric=metric,
        unit=unit,
        value=value,
        median=value,
        p90=value,
        n=0 if value is None else 1,
        at=at,
        threads=threads,
        model="a-model",
        recipe="",
        note="no wheel for this machine" if value is None else "",
        versions={"engine": "1.2"},
        commit="abc",
        cpu="a processor",
        cpu_features=("avx2",),
        date="2026-11-22T12:00:00+00:00",
    )


CANNED = Results(
    (
        measured("quality", f"{OURS} fp32", "perplexity", 10.0),
        measured("quality", ENGINE, "perplexity", 10.1),
        measured("quality", ENGINE, "mean KL", 0.01),
        measured("quality", "llama.cpp Q8_0", "perplexity", 10.2),
        measured("quality", "llama.cpp Q8_0", "mean KL", 0.02),
        measured("decode", ENGINE, "decode", 100.0, "tokens/s", threads=1),
        measured("decode", "llama.cpp Q8_0", "decode", 40.0, "tokens/s", threads=1),
        measured("decode", "llama.cpp Q4_0", "decode", 90.0, "tokens/s", threads=1),
        measured("decode", "OpenVINO GenAI int8", "decode", None, "tokens/s", threads=1),
        measured("memory", "memory", "read", 20.0, "GB/s", threads=1),
        measured("memory", ENGINE, "weights", 150.0, "MB"),
        measured("memory", ENGINE, "KV of a position", 50.0, "kB"),
    )
)
