"""The comparison as a Markdown table, and what it rests on. Pure."""

from collections.abc import Sequence

from cost.comparison import AlwaysOn, Comparison, PerToken, Workload

_HEAD = ("way", "USD a month", "USD a million tokens", "beside this on Lambda", "price of")


def title_of(work: Workload) -> str:
    return f"{work.prompt:,} prompt and {work.completion:,} answer tokens a request"


def table(comparison: Comparison, work: Workload) -> str:
    """A row for each way."""
    ours = comparison.ours
    bill = ours.bill
    rows = [
        _row(
            f"this, on Lambda: {bill.memory_mb:,} MB",
            ours.monthly(work),
            work,
            f"{ours.speeds.seconds(work.prompt, work.completion):.1f} s a request,"
            f" {ours.cold_share(work.requests):.1%} cold",
            f"{bill.gb_second:.10f} a GB-second",
        ),
        *(
            _row(
                _name(way, work), way.monthly(work), work, _even(comparison, way, work), way.server.as_of or "your own"
            )
            for way in comparison.servers
        ),
        *(
            _row(way.api.name, way.monthly(work), work, _ratio(comparison, way, work), way.api.as_of or "your own")
            for way in comparison.apis
        ),
    ]
    lines = [_HEAD, ("---",) * len(_HEAD), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def basis(comparison: Comparison, *, machine: str) -> str:
    """What is measured, what is scaled, what is assumed, and what is left out."""
    ours = comparison.ours
    speeds = ours.speeds
    other = "" if machine == "x86_64" else f" {machine} is taken to be as fast as that."
    return (
        f"Speeds: {speeds.measured_on}; {speeds.basis}: {speeds.decode:.1f} answer tokens/s,"
        f" {speeds.prefill_short:.0f} prompt tokens/s at 512 and {speeds.prefill_long:.0f} at 2,000; a cold start takes"
        f" {speeds.init:.2f} s (measured with pages warm, at 2 cores).{other} One request at a time, no prompt begins"
        f" like an earlier one. Assumed: an idle environment stays {ours.idle_minutes:g} minutes, requests come at"
        f" random times, a server may be busy {comparison.utilization:.0%} of the day. Left out: free tiers, logs,"
        " traffic, storage, people. Models by the token are others, and larger; a GPU would run one too."
    )


def _row(name: str, monthly: float, work: Workload, beside: str, source: str) -> Sequence[str]:
    millions = work.requests * 365 / 12 * (work.prompt + work.completion) / 1e6
    return (name, f"{monthly:,.2f}", f"{monthly / millions:,.3f}", beside, source)


def _name(way: AlwaysOn, work: Workload) -> str:
    count = way.count(work)
    return way.server.name if count == 1 else f"{count} × {way.server.name}"


def _even(comparison: Comparison, way: AlwaysOn, work: Workload) -> str:
    even = comparison.break_even(way, work)
    if even is None:
        return "never cheaper"
    capacity = way.capacity(work)
    if capacity is None:
        return f"cheaper from {even:,.0f} requests a day, if it keeps up"
    if even > capacity:
        return f"never cheaper: one answers {capacity:,.0f} a day, and would have to answer {even:,.0f}"
    return f"cheaper from {even:,.0f} requests a day"


def _ratio(comparison: Comparison, way: PerToken, work: Workload) -> str:
    ratio = way.monthly(work) / comparison.ours.monthly(work)
    return f"{ratio:.2g} times as much" if ratio else "nothing"
