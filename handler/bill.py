"""What a request costs on Lambda, in USD: the time it took × the function's memory × a price, and a price for each
request. Pure.

Lambda bills whole milliseconds, from the moment that the runtime gets an event to the end of its answer, and the
initialisation of an environment at the same price. What no request can know is left out: SnapStart's cache and
restores, provisioned concurrency, storage above 512 MB, streams beyond 6 MB, logs, and traffic.
"""

import math

from handler.errors import ConfigurationError
from handler.frozen import dataclass

# us-east-1 in 2024, by `uname -m`; the same in most regions. Source: aws.amazon.com/lambda/pricing, first tier.
PUBLISHED_GB_SECOND = {"x86_64": 0.0000166667, "aarch64": 0.0000133334, "arm64": 0.0000133334}
PUBLISHED_REQUEST = 0.0000002  # 0.20 a million

_DIGITS = 12  # behind the point: a millisecond of 128 MB on arm64 costs 0.000000001667
MB_PER_GB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """`gb_second` and `request` in USD. `at_once`: invocations that share the process, and so its memory."""

    gb_second: float
    request: float
    memory_mb: int
    at_once: int = 1

    def of_request(self, ms: float) -> float:
        """The cost of an invocation that took `ms` milliseconds."""
        return round(self._of_time(ms) + self.request, _DIGITS)

    def of_init(self, ms: float) -> float:
        """The cost of an initialisation that took `ms` milliseconds."""
        return round(self._of_time(ms) * self.at_once, _DIGITS)

    def _of_time(self, ms: float) -> float:
        return math.ceil(ms) / 1000 * self.memory_mb / MB_PER_GB / self.at_once * self.gb_second


def bill_for(
    *,
    gb_second: float | None,
    request: float | None,
    memory_mb: int | None,
    machine: str,
    at_once: int = 1,
) -> Bill | None:
    """The bill of this process; None where nobody says what a second costs.

    `gb_second` and `request` are the operator's prices; where they are None and Lambda has told `memory_mb`, the
    published ones of `machine` (`uname -m`) hold. They do not for several invocations `at_once`: Managed Instances are
    billed by the hour, and an operator who sets a price gets shares of it.

    Raises ConfigurationError for a price without a memory size.
    """
    if memory_mb is None:
        if gb_second is None and request is None:
            return None
        name = "LLM_PRICE_GB_SECOND" if gb_second is not None else "LLM_PRICE_REQUEST"
        raise ConfigurationError(
            f"{name} is set, but the memory that it is for is not known: Lambda tells it, elsewhere set"
            " AWS_LAMBDA_FUNCTION_MEMORY_SIZE too, in MB",
            param=name,
        )
    if gb_second is None:
        gb_second = PUBLISHED_GB_SECOND.get(machine) if at_once == 1 else None
    if gb_second is None:
        return None
    return Bill(
        gb_second=gb_second,
        request=PUBLISHED_REQUEST if request is None else request,
        memory_mb=memory_mb,
        at_once=at_once,
    )


def decimal(cost: float) -> str:
    """Plain digits, without an exponent: for headers."""
    return f"{cost:.{_DIGITS}f}".rstrip("0").rstrip(".")
