"""The pictures: which comparison each shows, and how. Pure."""

from collections.abc import Callable, Mapping, Sequence

from tests.bench.names import (
    BATCHING,
    CHOICES,
    COPIES,
    DOWNLOAD_FILE,
    EDITED,
    FIRST_TOKEN,
    FOLLOWS,
    FORMATS,
    GET_OBJECT,
    GREEDY,
    LEAVES,
    LLAMA_SERVER,
    NETWORK,
    NO_AMX,
    OURS,
    PREFIX_CACHE,
    READY,
    SAMPLED,
    SERVER,
    SPECULATION,
    STORE,
    UNBOUND,
)
from tests.bench.picture import Row, bars
from tests.bench.results import Results

_CORES = ("1 core", "2 cores")
_MORE, _LESS = "tokens per second; more is better", "milliseconds; less is better"


def quality(results: Results, system: str) -> str:
    """What stands beside a speed: how far the answers are from those of fp32."""
    plain = system.removesuffix(NO_AMX)
    perplexity, reference = (results.value("quality", name, "perplexity") for name in (plain, f"{OURS} fp32"))
    kl = results.value("quality", plain, "mean KL")
    if perplexity is None or reference is None or kl is None:
        return "quality not measured"
    return f"perplexity × {perplexity / reference:.3f}, mean KL {kl:.4f}"


def _engines(bench: str, metric: str, title: str) -> Callable[[Results], str]:
    def draw(results: Results) -> str:
        rows = [
            Row(
                system,
                tuple(results.value(bench, system, metric, threads=threads) for threads in (1, 2)),
                quality(results, system),
                system.startswith(OURS),
            )
            for system in results.systems(bench, metric)
        ]
        return bars(title, _MORE, _CORES, rows)

    return draw


def _pairs(
    bench: str, metric: str, systems: Sequence[str], title: str, unit: str, label: str
) -> Callable[[Results], str]:
    """Two settings along an axis."""

    def draw(results: Results) -> str:
        rows = [
            Row(label.format(at), tuple(results.value(bench, system, metric, at=at) for system in systems))
            for at in results.places(bench, metric)
        ]
        return bars(title, unit, systems, rows)

    return draw


def _each(bench: str, metric: str, systems: Sequence[str], title: str, unit: str) -> Callable[[Results], str]:
    """A bar for each system."""
    return lambda results: bars(
        title, unit, ("",), [Row(system, (results.value(bench, system, metric),)) for system in systems]
    )


def _start(results: Results) -> str:
    series = (f"process start to {READY}", f"to {FIRST_TOKEN}")
    rows = [
        Row(
            system,
            tuple(results.value("startup", system, metric) for metric in (READY, FIRST_TOKEN)),
            ours=system == SERVER,
        )
        for system in (SERVER, LLAMA_SERVER)
    ]
    return bars("Start-up, pages warm, 2 cores", _LESS, series, rows)


def _speculation(results: Results) -> str:
    rows = [
        Row(metric, tuple(results.value("copying", system, metric) for system in SPECULATION))
        for metric in (COPIES, LEAVES, FOLLOWS, EDITED, GREEDY, SAMPLED)
    ]
    return bars("Speculation: the same bytes, sooner", _MORE, SPECULATION, rows)


def _store(results: Results) -> str:
    metrics = (NETWORK, UNBOUND)
    rows = [
        Row(system, tuple(results.value("store", system, metric) for metric in metrics), ours=system == STORE)
        for system in (DOWNLOAD_FILE, GET_OBJECT, STORE)
    ]
    return bars("A model from S3, 2 cores", "MB per second; more is better", metrics, rows)


# Each picture's file, what it says to who cannot see it, and how it is drawn.
PICTURES: Mapping[str, tuple[str, Callable[[Results], str]]] = {
    "decode": ("Decode speed of each system", _engines("decode", "decode", "Decode, context of 64 to 160 tokens")),
    "prefill-512": (
        "Prefill speed of each system at 512 tokens",
        _engines("prefill", "prefill 512", "Prefill of 512 tokens"),
    ),
    "prefill-2000": (
        "Prefill speed of each system at 2,000 tokens",
        _engines("prefill", "prefill 2000", "Prefill of 2,000 tokens"),
    ),
    "start": ("Start-up of the servers", _start),
    "speculation": ("Speed with speculation on and off", _speculation),
    "json": ("Speed of constrained and free answers", _each("formats", "JSON", FORMATS, "JSON by a schema", _MORE)),
    "second-turn": (
        "Time to the second turn's first text by the length of the history",
        _pairs(
            "second_turn",
            "second turn",
            PREFIX_CACHE,
            "Second turn: time to its first text",
            _LESS,
            "{:,} tokens before",
        ),
    ),
    "choices": (
        "Time of four answers and of one",
        _each("choices", "choices", CHOICES, "Several answers to one prompt", "seconds; less is better"),
    ),
    "batching": (
        "Tokens per second of all streams together",
        _pairs("batching", "together", BATCHING, "Streams side by side, all together", _MORE, "{} at once"),
    ),
    "store": ("MB per second from S3 into memory, by each way of reading", _store),
}
