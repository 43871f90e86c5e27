"""`python -m cost`: what N requests a day of P + C tokens cost here, beside servers and APIs (`make cost`)."""

import argparse
import sys
from pathlib import Path

from cost.comparison import IDLE_MINUTES, UTILIZATION, Comparison, Lambda, Workload, compare
from cost.errors import CannotEstimate
from cost.picture import picture
from cost.prices import PUBLISHED, read_prices, with_changes
from cost.report import basis, table, title_of
from cost.speeds import CORES, MB_PER_CORE, MEASURED, read_speeds
from handler.bill import Bill, bill_for

DEFAULT = Workload(requests=10_000, prompt=500, completion=200)
MEMORY_MB, ARCHITECTURE, RECIPE = 3538, "x86_64", "int8"  # two cores, as measured
PICTURE = Path("artifacts/cost.svg")


def estimate(options: argparse.Namespace) -> Comparison:
    """Raises CannotEstimate."""
    bill: Bill | None = bill_for(
        gb_second=options.gb_second, request=options.request, memory_mb=options.memory, machine=options.arch
    )
    if bill is None:
        raise CannotEstimate(f"no price is known for ARCH={options.arch}: say x86_64 or arm64, or --gb-second")
    ours = Lambda(
        bill=bill,
        speeds=read_speeds(options.recipe, options.memory, options.results),
        idle_minutes=options.idle_minutes,
    )
    prices = with_changes(read_prices(options.prices), hourly=options.hourly, per_token=options.per_token)
    servers = read_speeds(options.recipe, CORES[-1] * MB_PER_CORE, options.results)
    return compare(ours, servers, prices, utilization=options.utilization)


def drawn(comparison: Comparison, work: Workload) -> str:
    """The picture."""
    speeds = comparison.ours.speeds
    note = f"{title_of(work)}; {comparison.ours.bill.memory_mb:,} MB; {speeds.measured_on}"
    return picture(comparison, work, "USD a month by requests a day", note)


def committed() -> str:
    """The README's section: the default question, answered from the measurements that stand in the repository."""
    comparison = estimate(parser().parse_args([]))
    return f"{table(comparison, DEFAULT)}\n\n{basis(comparison, machine=ARCHITECTURE)}"


def committed_picture() -> str:
    """The README's picture."""
    return drawn(estimate(parser().parse_args([])), DEFAULT)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m cost", description=__doc__)
    options.add_argument("--requests", type=_positive, default=DEFAULT.requests, help="a day")
    options.add_argument("--prompt", type=_count, default=DEFAULT.prompt, help="tokens of each request")
    options.add_argument("--completion", type=_count, default=DEFAULT.completion, help="tokens of each answer")
    options.add_argument("--memory", type=_count, default=MEMORY_MB, help="the function's, in MB")
    options.add_argument("--arch", default=ARCHITECTURE, help="x86_64 or arm64")
    options.add_argument("--recipe", default=RECIPE, help="one that was measured")
    options.add_argument("--gb-second", type=_positive, help="USD; absent: us-east-1's price for the architecture")
    options.add_argument("--request", type=_positive, help="USD; absent: us-east-1's price")
    options.add_argument("--idle-minutes", type=_positive, default=IDLE_MINUTES, help="until an environment is gone")
    options.add_argument("--utilization", type=_positive, default=UTILIZATION, help="how busy a server may be, to 1")
    options.add_argument("--hourly", action="append", default=[], metavar="NAME=USD", help="a server's price")
    options.add_argument("--per-token", action="append", default=[], metavar="NAME=IN,OUT", help="USD a million tokens")
    options.add_argument("--prices", type=Path, default=PUBLISHED, help="a file of prices")
    options.add_argument("--results", type=Path, default=MEASURED, help="measurements")
    options.add_argument("--picture", type=Path, default=PICTURE, help="where to draw it")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    work = Workload(requests=options.requests, prompt=options.prompt, completion=options.completion)
    try:
        comparison = estimate(options)
    except CannotEstimate as error:
        sys.stderr.write(f"cost: {error}\n")
        return 1
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    options.picture.write_text(drawn(comparison, work), encoding="utf-8")
    said = f"{work.requests:,.0f} requests a day, {title_of(work)}\n\n{table(comparison, work)}\n\n"
    sys.stdout.write(f"{said}{basis(comparison, machine=options.arch)}\n\nDrawn in {options.picture}\n")
    return 0


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("a number above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
