"""What was aimed at, beside what was measured. Pure: every row is computed from the results."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.names import (
    CHOICES,
    COPIES,
    EDITED,
    ENGINE,
    FIRST_TOKEN,
    FOLLOWS,
    FORMATS,
    GREEDY,
    LEAVES,
    LLAMA_SERVER,
    NO_AMX,
    PREFIX_CACHE,
    READY,
    SAMPLED,
    SERVER,
    SPECULATION,
)
from tests.bench.results import Results, ratio

_LLAMA, _OPENVINO = "llama.cpp Q8_0", "OpenVINO GenAI int8"
_FOUR_BITS = ("Q4_", "int4")
_CONTEXT = 112  # tokens, the mean while decode is measured
# Growing by more than this from the shortest to the longest history is not "independent of its length".
_FLAT = 1.25


@dataclass(frozen=True, slots=True)
class Target:
    """`met` is None where something that it takes was not measured."""

    what: str
    wanted: str
    measured: str
    met: bool | None


def targets(results: Results) -> list[Target]:
    """In the order of the list that was agreed on."""
    return [
        *_decode(results),
        *_prefill(results),
        *_start(results),
        _least("JSON by a schema, against free text", 1.4, _of_formats(results)),
        *_speculation(results),
        *_second_turn(results),
        _most("n = 4, against n = 1", 1.6, _of_choices(results)),
        _cost(
            results, "our work above the engine, per streamed token", "µs", 50, "overhead", SERVER, "above the engine"
        ),
        _memory(results),
    ]


def _decode(results: Results) -> Iterator[Target]:
    for threads in (1, 2):
        ours = results.value("decode", ENGINE, "decode", threads=threads)
        for peer in (_LLAMA, _OPENVINO):
            found = ratio(ours, results.value("decode", peer, "decode", threads=threads))
            kl = ratio(results.value("quality", ENGINE, "mean KL"), results.value("quality", peer, "mean KL"))
            met = None if found is None or kl is None else found >= 2 and kl <= 1
            quality = "KL not measured" if kl is None else f"KL {_number(kl)} × its"
            yield Target(
                f"decode, T{threads}, against {peer}",
                "≥ 2 ×, KL no worse",
                "–" if found is None else f"{found:.2f} ×, {quality}",
                met,
            )
        peers = {
            system: value
            for system in results.systems("decode", "decode")
            if not system.startswith(ENGINE.split()[0]) and any(mark in system for mark in _FOUR_BITS)
            if (value := results.value("decode", system, "decode", threads=threads)) is not None
        }
        fastest = max(peers, key=lambda system: peers[system], default=None)
        yield _least(
            f"decode, T{threads}, against the fastest 4-bit peer ({fastest or 'none measured'})",
            1.3,
            ratio(ours, peers.get(fastest or "")),
        )
        yield _share(results, threads)


def _share(results: Results, threads: int) -> Target:
    """How much of what memory can deliver the decoder reads: its weights and its KV, once a token."""
    speed = results.value("decode", ENGINE, "decode", threads=threads)
    weights, kv = (results.value("memory", ENGINE, metric) for metric in ("weights", "KV of a position"))
    limit = results.value("memory", "memory", "read", threads=threads)
    share = None
    if speed is not None and weights is not None and kv is not None and limit is not None:
        share = speed * (weights * 1e6 + kv * 1e3 * _CONTEXT) / (limit * 1e9)
    return Target(
        f"decode, T{threads}, of the limit that reading memory sets",
        "≥ 80 %",
        "–" if share is None else f"{share:.0%}",
        None if share is None else share >= 0.8,
    )


def _prefill(results: Results) -> Iterator[Target]:
    for tokens in (512, 2000):
        for threads in (1, 2):
            metric = f"prefill {tokens}"
            plain = results.value("prefill", ENGINE + NO_AMX, metric, threads=threads)
            ours = results.value("prefill", ENGINE, metric, threads=threads)
            place = f"prefill of {tokens:,} tokens, T{threads}"
            yield _least(
                f"{place}, against {_LLAMA} without AMX",
                4,
                ratio(ours if plain is None else plain, results.value("prefill", _LLAMA, metric, threads=threads)),
            )
            yield _least(
                f"{place}, against {_OPENVINO}",
                1,
                ratio(ours, results.value("prefill", _OPENVINO, metric, threads=threads)),
            )


def _start(results: Results) -> Iterator[Target]:
    for metric, most in ((READY, 400), (FIRST_TOKEN, 600)):
        yield _cost(results, f"process start to {metric}", "ms", most, "startup", SERVER, metric)
        peer = results.value("startup", LLAMA_SERVER, metric)
        found = ratio(results.value("startup", SERVER, metric), peer)
        yield _most(f"process start to {metric}, against {LLAMA_SERVER}", 1, found)


def _speculation(results: Results) -> Iterator[Target]:
    for metric, least in (
        (COPIES, 2.0),
        (LEAVES, 0.97),
        (FOLLOWS, 2.0),
        (EDITED, 0.97),
        (GREEDY, 0.97),
        (SAMPLED, 0.97),
    ):
        on, off = (results.value("copying", system, metric) for system in SPECULATION)
        yield _least(f"speculation, on against off: {metric}", least, ratio(on, off))


def _second_turn(results: Results) -> Iterator[Target]:
    lengths = results.places("second_turn", "second turn")
    on = PREFIX_CACHE[0]
    if len(lengths) < 2:
        yield Target("second turn of a conversation", f"≤ {_FLAT} ×", "–", None)
        return
    short, long = lengths[0], lengths[-1]
    prefilled = [results.value("second_turn", on, "prefilled", at=length) for length in (short, long)]
    yield Target(
        "second turn: tokens prefilled beyond the new ones, at the longest history",
        "0",
        "–" if None in prefilled else f"{(prefilled[1] or 0) - (prefilled[0] or 0):.0f}",
        None if None in prefilled else prefilled[0] == prefilled[1],
    )
    times = [results.value("second_turn", on, "second turn", at=length) for length in (long, short)]
    yield _most(f"second turn: first text after {long:,} tokens, against {short:,}", _FLAT, ratio(*times))


def _memory(results: Results) -> Target:
    peak, needed = (results.value("memory", SERVER, metric) for metric in ("peak memory", "weights and KV"))
    return _most("peak memory of the server, against weights and KV", 1.5, ratio(peak, needed))


def _of_formats(results: Results) -> float | None:
    schema, free = (results.value("formats", system, "JSON") for system in FORMATS)
    return ratio(schema, free)


def _of_choices(results: Results) -> float | None:
    one, four = (results.value("choices", system, "choices") for system in CHOICES)
    return ratio(four, one)


def _least(what: str, least: float, found: float | None) -> Target:
    return Target(what, f"≥ {least:g} ×", _times(found), None if found is None else found >= least)


def _most(what: str, most: float, found: float | None) -> Target:
    return Target(what, f"≤ {most:g} ×", _times(found), None if found is None else found <= most)


def _cost(results: Results, what: str, unit: str, most: float, bench: str, system: str, metric: str) -> Target:
    found = results.value(bench, system, metric)
    measured = "–" if found is None else f"{_number(found)} {unit}"
    return Target(what, f"≤ {most:g} {unit}", measured, None if found is None else found <= most)


def _times(found: float | None) -> str:
    return "–" if found is None else f"{found:.2f} ×"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
